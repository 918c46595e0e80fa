"""If a file is cut off or damaged, only the whole lines before the damage are read."""

import errno
import fcntl
import os
import random
import sys
from pathlib import Path

import pytest

from m1.checked_lines import CheckedLines
from m1.errors import UserError

TEXTS = ["{}", "", "äöü 0", '{"a": "b\\n"}', "x" * 50]


def written(path: Path, texts: list[str] = TEXTS) -> Path:
    with CheckedLines(path) as lines:
        for text in texts:
            lines.append(text)
    return path


def read(path: Path) -> list[str]:
    with CheckedLines(path) as lines:
        return lines.texts


def test_lines_are_read_as_written_and_more_can_be_added(tmp_path) -> None:
    path = written(tmp_path / "new" / "journal.jsonl")
    assert read(path) == TEXTS
    written(path, ["more"])
    assert read(path) == [*TEXTS, "more"]


def test_cut_off_at_any_byte_all_whole_lines_are_kept(tmp_path) -> None:
    path = written(tmp_path / "journal.jsonl")
    whole = path.read_bytes()
    for n in range(len(whole) + 1):
        path.write_bytes(whole[:n])
        n_kept = whole[:n].count(b"\n")
        assert read(path) == TEXTS[:n_kept]
        # The rest of the torn line must not spoil what is appended.
        written(path, ["next"])
        assert read(path) == [*TEXTS[:n_kept], "next"]


@pytest.mark.parametrize("tail", [b"\0" * 700, b"\n\n\n", b"garbage\nmore\n", os.urandom(300)])
def test_a_damaged_end_is_cut_off(tmp_path, tail) -> None:
    path = written(tmp_path / "journal.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert read(path) == TEXTS
    assert path.read_bytes() == whole


def test_any_changed_byte_of_an_earlier_line_is_found(tmp_path) -> None:
    path = written(tmp_path / "journal.jsonl")
    whole = path.read_bytes()
    end = whole[:-1].rindex(b"\n")
    changes = random.Random(1)
    for place in range(end):
        changed = bytearray(whole)
        changed[place] ^= changes.randrange(1, 256)
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"is damaged, though later ones are whole.*delete"):
            read(path)
        assert path.read_bytes() == changed


@pytest.mark.parametrize(
    "order", [[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 2, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4]]
)
def test_lines_that_are_missing_moved_or_doubled_are_found(tmp_path, order) -> None:
    path = written(tmp_path / "journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[n] for n in order))
    with pytest.raises(UserError, match=r"line \d is not in its place, .* delete the file"):
        read(path)


def test_lines_of_another_file_are_found(tmp_path) -> None:
    path, other = written(tmp_path / "a.jsonl"), written(tmp_path / "b.jsonl", ["other"])
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(UserError, match="line 6 is not in its place"):
        read(path)


@pytest.mark.parametrize("which", [slice(None), slice(1, 3)], ids=["all", "some"])
def test_windows_line_ends_lose_nothing(tmp_path, which) -> None:
    texts = [*TEXTS, "ends in a carriage return\r"]
    path = written(tmp_path / "journal.jsonl", texts)
    lines = path.read_bytes().split(b"\n")
    lines[which] = [line + b"\r" if line else line for line in lines[which]]
    path.write_bytes(b"\n".join(lines))
    assert read(path) == texts
    written(path, ["more"])
    assert read(path) == [*texts, "more"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_that_another_program_rewrote_is_refused_and_kept(tmp_path, encoding) -> None:
    path = written(tmp_path / "journal.jsonl", ["{}"])
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    changed = path.read_bytes()
    with pytest.raises(UserError, match=r"no line of it is whole.*restore the file, or delete"):
        read(path)
    assert path.read_bytes() == changed


def test_two_runs_do_not_write_one_file(tmp_path) -> None:
    path = tmp_path / "journal.jsonl"
    with CheckedLines(path) as lines:
        lines.append("first")
        with pytest.raises(UserError, match=r"journal\.jsonl: another run is writing it"):
            written(path)
        lines.append("second")
    assert read(path) == ["first", "second"]


def test_a_file_that_is_finished_while_it_is_opened_is_not_written(tmp_path, monkeypatch) -> None:
    path, lock = tmp_path / "journal.jsonl", fcntl.flock

    def finished(file: int, how: int) -> None:
        path.rename(tmp_path / "journal.finished")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", finished)
    with pytest.raises(UserError, match="another run is writing it"):
        written(path)
    assert (tmp_path / "journal.finished").read_bytes() == b""


def test_a_file_system_without_locks_is_enough(tmp_path, monkeypatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    assert read(written(tmp_path / "journal.jsonl")) == TEXTS


@pytest.mark.parametrize("call", ["fsync", "truncate"])
def test_a_full_disk_is_one_line_about_the_file(tmp_path, monkeypatch, call) -> None:
    path = written(tmp_path / "journal.jsonl")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError, match=r"journal\.jsonl: cannot be written \(No space left"):
        written(path, ["more"])


@pytest.mark.skipif(sys.platform != "linux", reason="looks files up in /proc")
def test_every_line_is_on_the_disk_before_the_next(tmp_path, synced) -> None:
    path = tmp_path / "journal.jsonl"
    with CheckedLines(path) as lines:
        assert tmp_path in synced
        synced.clear()
        for n in range(3):
            lines.append(f"line {n}")
            assert synced == [path] * (n + 1)
