"""The only code that touches file formats: atomic writes, validated reads."""

import contextlib
import gc
import os
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from m1.errors import UserError
from m1.reading import check_regular, read_text, shown
from m1.schemas.base import Record, describe

# Only tables need pandas, which takes longer to import than all else that `m1 --help` imports.
if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=Record)
T = TypeVar("T")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only if nothing went wrong.

    What was written is on the disk before it takes the place, so that a power cut leaves one of
    both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        _sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def written_or_told(path: Path) -> Iterator[Path]:
    """As `written_whole`, for the results of a stage.

    Raises:
        UserError: if the file cannot be written; what was there before is as it was.
    """
    try:
        with written_whole(path) as partial:
            yield partial
    except OSError as error:
        raise cannot_be_written(path, error) from None


def cannot_be_written(path: Path, error: OSError) -> UserError:
    """One line about a disk that is full, a folder that is read-only and the like."""
    reason = os.strerror(error.errno) if error.errno else describe(error)
    return UserError(
        f"{shown(path)}: cannot be written ({reason}): make room or give leave to write, then run "
        "the same command again; earlier results are as they were"
    )


def check_writable(folder: Path) -> None:
    """Whether files can be written to a folder, which is made where it is missing.

    Raises:
        UserError: if not.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise cannot_be_written(folder, error) from None


def write_text(text: str, path: Path) -> None:
    """Write text, whole or not at all."""
    with written_or_told(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_record(record: Record, path: Path) -> None:
    """Write a record as indented JSON."""
    write_text(_json(record), path)


def _json(record: Record) -> str:
    return record.model_dump_json(indent=2) + "\n"


def read_record(kind: type[R], path: Path) -> R:
    """Read a record.

    Raises:
        UserError: naming the file and what is wrong in it.
    """
    return _parsed(TypeAdapter(kind), path)


def write_rows(rows: Sequence[Record], path: Path) -> None:
    """Write records of one kind as a parquet table."""
    with written_or_told(path) as partial:
        _write_table(rows, partial)


def write_rows_and_record(rows: Sequence[Record], table: Path, record: Record, path: Path) -> None:
    """Write a parquet table and the record of it: both, or neither if one cannot be written."""
    try:
        with written_whole(table) as partial_table, written_whole(path) as partial:
            _write_table(rows, partial_table)
            partial.write_text(_json(record), encoding="utf-8")
    except OSError as error:
        raise cannot_be_written(path.parent, error) from None


def _write_table(rows: Sequence[Record], path: Path) -> None:
    import pandas as pd

    pd.DataFrame([row.model_dump() for row in rows]).to_parquet(path, index=False)


def read_rows(kind: type[R], path: Path) -> "pd.DataFrame":
    """Read a parquet table, every row checked against its kind.

    Returns:
        A frame with the kind's fields as columns, missing values as pandas has them.

    Raises:
        UserError: naming the file, the row and what is wrong in it.
    """
    import pandas as pd

    check_regular(path)
    try:
        frame = pd.read_parquet(path)
        records = plain_records(frame)
    except Exception as error:  # of a damaged table, pandas and pyarrow raise almost anything
        raise UserError(f"{path}: not a readable parquet table ({describe(error)})") from None
    try:
        TypeAdapter(list[kind]).validate_python(records)  # type: ignore[valid-type]
    except ValidationError as error:
        raise UserError(f"{path}: row {describe(error)}") from None
    return frame


def plain_records(frame: "pd.DataFrame") -> list[dict[Hashable, Any]]:
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
