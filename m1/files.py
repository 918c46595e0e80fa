"""The only code that touches file formats: atomic writes, validated reads."""

import contextlib
import gc
import os
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from m1.errors import MistakesError, UserError
from m1.reading import check_regular, read_text, shown
from m1.schemas.base import MOST_TOLD, Record, describe, mistakes
from m1.together import NoPlaceError, Together

# Only tables need pandas. Its import takes longer than all other imports of `m1 --help`.
if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Results(Together):
    """Writes the files of a stage, each in its format."""

    def text(self, text: str, place: Path) -> None:
        """Write text."""
        self.file(place).write_text(text, encoding="utf-8")

    def record(self, record: Record, place: Path) -> None:
        """Write a record as indented JSON."""
        self.text(record.model_dump_json(indent=2) + "\n", place)

    def rows(self, rows: Sequence[Record], place: Path) -> None:
        """Write records of one kind as a parquet table."""
        import pandas as pd

        frame = pd.DataFrame([row.model_dump() for row in rows])
        frame.to_parquet(self.file(place), index=False)

    def plot_rows(self, rows: Sequence[dict[str, Any]], place: Path) -> None:
        """Write rows for `dvc plots`, as JSON so that numbers stay numbers."""
        adapter = TypeAdapter(list[dict[str, Any]])
        self.text(adapter.dump_json(list(rows), indent=1).decode() + "\n", place)


@contextlib.contextmanager
def written_together() -> Iterator[Results]:
    """The results of a stage. At the end of the block all of them are written, or none.

    Raises:
        UserError: if a file cannot be written. Then earlier files are unchanged.
    """
    results = Results()
    try:
        with results:
            yield results
    except OSError as error:
        raise cannot_be_written(results.at, error) from None


def cannot_be_written(path: Path, error: OSError) -> UserError:
    """One line about a full disk, a read-only folder or a similar problem."""
    reason = os.strerror(error.errno) if error.errno else describe(error)
    advice = "make room or give write permission, then run the same command again"
    if isinstance(error, NoPlaceError | NotADirectoryError | FileExistsError):
        advice = "something else is there: move it away, or name another place"
    return UserError(f"{shown(path)}: cannot be written ({reason}): {advice}; {_earlier_results()}")


def _earlier_results() -> str:
    """A text about earlier results: DVC removes some outputs before it runs a stage."""
    if "DVC_STAGE" in os.environ:
        return "earlier results are kept: `dvc checkout` brings back those that DVC removed"
    return "earlier results are as they were"


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """Report errors of the disk in a block that only writes to a temporary folder.

    Raises:
        UserError: if the folder cannot be written, for example because the disk is full.
    """
    try:
        yield
    except Exception as error:
        # Tokenizers raise a plain exception with the message of the system's error.
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        raise UserError(
            f"{tempfile.gettempdir()}: temporary files cannot be written ({describe(error)}): make "
            "room there, or set TMPDIR to another folder"
        ) from None


def check_writable(folder: Path) -> None:
    """Check that files can be written to a folder. A missing folder is made.

    Raises:
        UserError: if they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # If the system can do it, the file has no name, so a kill leaves nothing.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise cannot_be_written(folder, error) from None


def write_text(text: str, path: Path) -> None:
    """Write text, whole or not at all."""
    with written_together() as results:
        results.text(text, path)


def write_record(record: Record, path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    with written_together() as results:
        results.record(record, path)


def read_record(kind: type[R], path: Path) -> R:
    """Read a record.

    Raises:
        UserError: naming the file and what is wrong in it.
    """
    return _parsed(TypeAdapter(kind), path)


def write_rows(rows: Sequence[Record], path: Path) -> None:
    """Write records of one kind as a parquet table, whole or not at all."""
    with written_together() as results:
        results.rows(rows, path)


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
    """Rows as plain Python values. Integers that pandas stores as floats become integers again."""
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
        UserError: naming the file, each line that is wrong, and what is wrong in it.
    """
    adapter = TypeAdapter(kind)
    records: list[tuple[int, R]] = []
    wrong: list[str] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append((number, adapter.validate_json(line)))
        except ValidationError as error:
            wrong += (f"{path}: line {number}: {one}" for one in mistakes(kind, error))
            if len(wrong) >= MOST_TOLD:
                break
    if wrong:
        raise MistakesError(wrong)
    return records


def _parsed(adapter: TypeAdapter[T], path: Path) -> T:
    try:
        with _no_garbage_collection():
            return adapter.validate_json(read_text(path))
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error)}") from None


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Stop garbage collection: searching millions of records for cycles takes too long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def write_plot_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows for `dvc plots`, whole or not at all."""
    with written_together() as results:
        results.plot_rows(rows, path)
