import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from m1.errors import UserError
from m1.files import (
    check_writable,
    read_plot_rows,
    read_record,
    read_rows,
    temporary_files,
    write_plot_rows,
    write_record,
    write_rows,
    write_text,
    written_together,
)
from m1.reading import read_text
from m1.schemas.base import Record
from m1.schemas.settings import Setting


class Row(Record):
    """A row with all types that are in use: numbers, texts, booleans, and missing values."""

    name: str
    kind: Literal["first", "second"]
    count: int
    some: int | None = None
    time_ms: float | None = None
    marked: bool = True


ROWS = [
    Row(name="a", kind="first", count=1, some=7, time_ms=0.1),
    Row(name="", kind="second", count=-2, some=None, time_ms=None, marked=False),
    Row(name="ä", kind="first", count=0, some=0, time_ms=3.0),
]


def one_line(read: Any, path: Path, *args: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(*args, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


# Whole or not at all


def write_half_and_fail(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    write_text("ä\n", tmp_path / "new" / "deep" / "a.txt")
    assert read_text(tmp_path / "new" / "deep" / "a.txt") == "ä\n"
    assert (tmp_path / "new" / "deep" / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_failure_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text("old", path)
    with pytest.raises(RuntimeError), written_together() as results:
        write_half_and_fail(results.file(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), written_together() as results:
        write_half_and_fail(results.file(tmp_path / "a.txt"))
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_replaces_the_old_file(tmp_path: Path) -> None:
    write_text("old", tmp_path / "a.txt")
    write_text("new", tmp_path / "a.txt")
    assert read_text(tmp_path / "a.txt") == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_rows_that_cannot_be_written_keep_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(ROWS, path)
    before = path.read_bytes()
    mixed = [ROWS[0], ROWS[0].model_copy(update={"count": "two"})]
    with pytest.raises(Exception, match="two"):
        write_rows(mixed, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Records


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    for row in ROWS:
        write_record(row, tmp_path / "row.json")
        assert read_record(Row, tmp_path / "row.json") == row
    assert (tmp_path / "row.json").read_text(encoding="utf-8").startswith('{\n  "name": "ä"')


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"name": "a", "kind": "first", "count": "1"}', 'count = "1": Input should be a valid'),
        ('{"name": "a", "kind": "third", "count": 1}', "kind = \"third\": .*'first' or 'second'"),
        ('{"name": "a", "kind": "first"}', "count is missing"),
        ('{"name": "a", "kind": "first", "count": 1, "extra": 2}', "extra is not a known key"),
        ("[]", r"the whole = \[\]: "),
        ("{", "not JSON: EOF"),
        ("", "not JSON: EOF"),
    ],
)
def test_a_wrong_record_is_named_in_one_line(content: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    path.write_text(content)
    with pytest.raises(UserError, match=f"^{path}: {expected}"):
        read_record(Row, path)
    one_line(read_record, path, Row)


def test_text_that_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    assert "No such file" in one_line(read_text, tmp_path / "none.json")
    assert "Is a directory" in one_line(read_text, tmp_path)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in one_line(read_record, tmp_path / "a.json", Row)


# Tables


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "rows.parquet")
    frame = read_rows(Row, tmp_path / "rows.parquet")
    assert list(frame.columns) == list(Row.model_fields)
    assert rows_of(frame) == [row.model_dump() for row in ROWS]
    assert frame["some"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("value", [None, 5])
def test_a_column_may_hold_only_nulls_or_none(value: int | None, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"some": value, "time_ms": value}) for row in ROWS]
    write_rows(rows, tmp_path / "rows.parquet")
    frame = read_rows(Row, tmp_path / "rows.parquet")
    assert frame["some"].notna().sum() == (0 if value is None else 3)
    if value is not None:
        assert frame["some"].tolist() == [5, 5, 5]


def write_frame(path: Path, **columns: list[Any]) -> Path:
    good = pd.DataFrame([row.model_dump() for row in ROWS])
    good.assign(**columns).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"count": [2.5, 1, 3]}, r"row 0\.count = 2\.5: Input should be a valid integer"),
        ({"count": ["1", "2", "3"]}, r'row 0\.count = "1": .*integer \(also wrong: 1\.count, '),
        ({"count": [1, 2, None]}, r"row 2\.count = null: Input should be a valid integer"),
        ({"kind": ["first", "first", "x"]}, r"row 2\.kind = \"x\": .*'first' or 'second'"),
        ({"marked": [1, 0, 1]}, r"row 0\.marked = 1: Input should be a valid boolean"),
        ({"extra": [1, 2, 3]}, r"row 0\.extra is not a known key"),
    ],
)
def test_a_wrong_value_names_file_row_and_column(
    columns: dict[str, list[Any]], expected: str, tmp_path: Path
) -> None:
    path = write_frame(tmp_path / "rows.parquet", **columns)
    with pytest.raises(UserError, match=f"^{path}: {expected}"):
        read_rows(Row, path)
    one_line(read_rows, path, Row)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame([row.model_dump(exclude={"count"}) for row in ROWS]).to_parquet(path)
    assert "row 0.count is missing" in one_line(read_rows, path, Row)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"name,kind\na,first\n", b"PAR1" + 99 * b"x"])
def test_a_table_that_cannot_be_read_is_named_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    message = one_line(read_rows, tmp_path / "rows.parquet", Row)
    assert "not a readable parquet table" in message


def test_a_table_that_is_cut_short_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(ROWS, path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a readable parquet table" in one_line(read_rows, path, Row)


def test_a_table_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    assert "none.parquet" in one_line(read_rows, tmp_path / "none.parquet", Row)


# Plot data


def test_numbers_in_plot_data_stay_numbers(tmp_path: Path) -> None:
    rows = [{"x": 1.5, "n": 2, "name": "ä", "none": None}]
    write_plot_rows(rows, tmp_path / "plot.json")
    assert json.loads((tmp_path / "plot.json").read_text(encoding="utf-8")) == rows


def test_plot_rows_are_read_back_and_checked(tmp_path) -> None:
    path = tmp_path / "rows.json"
    write_plot_rows([{"vision_tokens": 4, "top_k": None, "active_blocks": 2}], path)
    assert read_plot_rows(Setting, path) == [Setting(vision_tokens=4, active_blocks=2)]
    write_plot_rows([{"vision_tokens": "four"}], path)
    with pytest.raises(UserError, match=r"rows\.json: .*vision_tokens"):
        read_plot_rows(Setting, path)


def test_a_missing_table_is_reported_as_missing(tmp_path) -> None:
    with pytest.raises(
        UserError, match=r"none\.parquet: cannot be read \(No such file or directory\)"
    ):
        read_rows(Setting, tmp_path / "none.parquet")


# A disk that is full, a folder that is read-only


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_failed_write_is_one_line_and_leaves_the_earlier_file(
    tmp_path, monkeypatch, number
) -> None:
    path = tmp_path / "run.json"
    write_record(Setting(top_k=1), path)
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(UserError, match=r"run\.json: cannot be written \(.+\): make room") as told:
        write_record(Setting(top_k=2), path)
    assert "\n" not in str(told.value)
    assert read_record(Setting, path) == Setting(top_k=1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch) -> None:
    check_writable(tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(UserError, match=r"cannot be written .*: something else is there: move"):
            check_writable(tmp_path / place)
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    monkeypatch.setattr(tempfile, "TemporaryFile", refusing(errno.EROFS))
    with pytest.raises(UserError, match=r"cannot be written \(Read-only file system\)"):
        check_writable(tmp_path)


def test_the_message_says_what_dvc_did_with_earlier_results(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with pytest.raises(UserError, match=r"earlier results are as they were$"):
        write_text("new", tmp_path / "a.txt")
    monkeypatch.setenv("DVC_STAGE", "profile")
    with pytest.raises(UserError, match=r"`dvc checkout` brings back those that DVC removed$"):
        write_text("new", tmp_path / "a.txt")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), Exception("No space left (os error 28)")]
)
def test_a_temporary_folder_without_room_is_reported(error) -> None:
    def write() -> None:
        raise error

    told = "temporary files cannot be written .*No space left.* set TMPDIR"
    with pytest.raises(UserError, match=told), temporary_files():
        write()


def test_other_errors_of_temporary_files_are_not_changed(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), temporary_files():
        _ = 1 / 0
