"""The only code that touches file formats: atomic writes, validated reads."""

import contextlib
import gc
import os
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from m1.errors import UserError
from m1.schemas.base import Record, describe

R = TypeVar("R", bound=Record)
T = TypeVar("T")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only if nothing went wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write text, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_record(record: Record, path: Path) -> None:
    """Write a record as indented JSON."""
    write_text(record.model_dump_json(indent=2) + "\n", path)


def read_record(kind: type[R], path: Path) -> R:
    """Read a record.

    Raises:
        UserError: naming the file and what is wrong in it.
    """
    return _parsed(TypeAdapter(kind), path)


def read_text(path: Path) -> str:
    """Read text.

    Raises:
        UserError: if the file cannot be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: cannot be read ({reason})") from None


def write_rows(rows: Sequence[Record], path: Path) -> None:
    """Write records of one kind as a parquet table."""
    with written_whole(path) as partial:
        pd.DataFrame([row.model_dump() for row in rows]).to_parquet(partial, index=False)


def read_rows(kind: type[R], path: Path) -> pd.DataFrame:
    """Read a parquet table, every row checked against its kind.

    Returns:
        A frame with the kind's fields as columns, missing values as pandas has them.

    Raises:
        UserError: naming the file, the row and what is wrong in it.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: cannot be read (no such file)") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable parquet table ({describe(error)})") from None
    try:
        TypeAdapter(list[kind]).validate_python(plain_records(frame))  # type: ignore[valid-type]
    except ValidationError as error:
        raise UserError(f"{path}: row {describe(error)}") from None
    return frame


def plain_records(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Rows as plain Python values; integers that pandas keeps as floats are integers again."""
    plain = frame.convert_dtypes().astype(object)
    return plain.where(plain.notna(), None).to_dict("records")


def read_plot_rows(kind: type[R], path: Path) -> list[R]:
    """Read rows that `write_plot_rows` wrote.

    Raises:
        UserError: naming the file and what is wrong in it.
    """
    return _parsed(TypeAdapter(list[kind]), path)  # type: ignore[valid-type]


def read_lines(kind: type[R], path: Path) -> list[tuple[int, R]]:
    """Read JSON Lines, blank ones left out.

    Returns:
        The number of each line, from 1, and its record.

    Raises:
        UserError: naming the file, the line and what is wrong in it.
    """
    adapter = TypeAdapter(kind)
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [(n, _parsed_line(adapter, line, path, n)) for n, line in lines if line.strip()]


def _parsed_line(adapter: TypeAdapter[R], line: str, path: Path, number: int) -> R:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        raise UserError(f"{path}: line {number}: {describe(error)}") from None


def _parsed(adapter: TypeAdapter[T], path: Path) -> T:
    try:
        with _no_garbage_collection():
            return adapter.validate_json(read_text(path))
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error)}") from None


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of records without cycles: looking for some takes longer than making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def write_plot_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows for `dvc plots`, as JSON so that numbers stay numbers."""
    adapter = TypeAdapter(list[dict[str, Any]])
    write_text(adapter.dump_json(list(rows), indent=1).decode() + "\n", path)
