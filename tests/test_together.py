import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from import_graph import ROOT

from m1 import together
from m1.together import NoPlaceError, Together

EARLIER = {"a.json": "old a", "deep/b.json": "old b", "c/inside.txt": "old c", "d.png": "old d"}
LATER = {"a.json": "new a", "deep/b.json": "new b", "c/inside.txt": "new c"}


def write_all(files: Together, folder: Path) -> None:
    """Two files, a folder, and one file to be removed."""
    files.file(folder / "a.json").write_text("new a")
    files.file(folder / "deep" / "b.json").write_text("new b")
    (files.folder(folder / "c") / "inside.txt").write_text("new c")
    files.nothing(folder / "d.png")


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in EARLIER.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_places_are_taken_at_the_end_and_none_before(folder: Path) -> None:
    with Together() as files:
        write_all(files, folder)
        assert EARLIER.items() <= contents(folder).items()
    assert contents(folder) == LATER
    assert list(folder.rglob(".*")) == []


def test_places_may_be_new(tmp_path: Path) -> None:
    with Together() as files:
        write_all(files, tmp_path)
    assert contents(tmp_path) == LATER


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_in_the_block_leaves_everything_as_it_was(
    folder: Path, error: type[BaseException]
) -> None:
    def write_and_fail(files: Together) -> None:
        write_all(files, folder)
        raise error

    with pytest.raises(error), Together() as files:
        write_and_fail(files)
    assert contents(folder) == EARLIER


def failing(call: Callable[..., Path], after: int) -> Callable[..., Path]:
    """A call that works this many times, and then fails once like a broken disk."""
    done = 0

    def sometimes(path: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done == after + 1:
            raise OSError(5, os.strerror(5))
        return call(path, target)

    return sometimes


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("earlier", [True, False], ids=["over earlier files", "for the first time"])
def test_a_move_that_fails_takes_back_the_moves_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, earlier: bool
) -> None:
    for name, text in EARLIER.items() if earlier else ():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(Path, "replace", failing(Path.replace, after))
    with pytest.raises(OSError, match="Input/output"), Together() as files:
        write_all(files, tmp_path)
    assert contents(tmp_path) == (EARLIER if earlier else {})


def test_if_a_file_cannot_be_removed_the_others_are_put_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The folder is renamed first, then the file that is to go.
    monkeypatch.setattr(Path, "rename", failing(Path.rename, 1))
    with pytest.raises(OSError, match="Input/output"), Together() as files:
        write_all(files, folder)
    assert contents(folder) == EARLIER


def test_a_file_system_without_hard_links_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, os.strerror(1))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(Path, "replace", failing(Path.replace, 2))
    with pytest.raises(OSError, match="Input/output"), Together() as files:
        write_all(files, folder)
    assert contents(folder) == EARLIER


def test_a_place_that_is_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("old")
    (tmp_path / "a.json").symlink_to(tmp_path / "cache")
    with Together() as files:
        files.file(tmp_path / "a.json").write_text("new")
    assert (tmp_path / "cache").read_text() == "old"
    assert not (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "a.json").read_text() == "new"


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    with Together() as files:
        files.file(tmp_path / "a.json").write_text("new")
        (files.folder(tmp_path / "c") / "inside.txt").write_text("new")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "c").stat().st_mode & 0o755 == 0o755


def never_to(call: Callable[..., Path], place: Path) -> Callable[..., Path]:
    """A call that works, except for one place: a mount point, or a file that cannot change."""

    def refusing(path: Path, target: Path) -> Path:
        if target == place:
            raise OSError(16, os.strerror(16))
        return call(path, target)

    return refusing


def fail_in_place(place: Path) -> None:
    """Begin to write a folder, then fail."""

    def write_and_fail(files: Together) -> None:
        files.folder(place)
        raise RuntimeError

    with pytest.raises(RuntimeError), Together() as files:
        write_and_fail(files)


@pytest.mark.parametrize("stuck", ["deep/b.json", "c"])
def test_a_place_that_can_be_neither_taken_nor_restored_leaves_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", never_to(Path.replace, folder / stuck))
        with pytest.raises(OSError, match="busy"), Together() as files:
            write_all(files, folder)
    found = contents(folder)
    if stuck == "c":
        # It could not be put back, and is beside its place until the next one writes there.
        assert found.pop(f".c.{os.getpid()}.earlier/inside.txt") == "old c"
        fail_in_place(folder / "c")
        found = contents(folder)
    assert found == EARLIER


@pytest.mark.parametrize("write", [Together.file, Together.nothing])
def test_a_folder_in_the_place_of_a_file_is_not_removed(
    folder: Path, write: Callable[[Together, Path], object]
) -> None:
    with Together() as files:
        files.file(folder / "a.json").write_text("new a")
        with pytest.raises(NoPlaceError, match="a folder"):
            write(files, folder / "c")
    assert contents(folder) == EARLIER | {"a.json": "new a"}


def test_two_results_in_one_place_are_refused(folder: Path) -> None:
    with Together() as files:
        files.file(folder / "a.json").write_text("new a")
        with pytest.raises(NoPlaceError, match="another result"):
            files.file(folder / "deep" / ".." / "a.json")
    assert contents(folder) == EARLIER | {"a.json": "new a"}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, "tests")
from m1.together import Together
from test_together import write_all

calls = [Path.{call}, 0]

def counted(path, target):
    calls[1] += 1
    if calls[1] == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls[0](path, target)

Path.{call} = counted
with Together() as files:
    write_all(files, Path(sys.argv[1]))
"""


@pytest.mark.parametrize(("call", "at"), [("hardlink_to", 1), ("replace", 2), ("replace", 3)])
def test_files_of_a_killed_writer_are_removed_by_the_next(folder: Path, call: str, at: int) -> None:
    """No such file may get into a folder that DVC tracks, such as the folder of figures."""
    program = KILLED.format(call=call, at=at)
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(folder.rglob(".*"))
    # Somebody else's, who is alive, and what only looks alike.
    others = [f".a.json.{os.getppid()}.new1", ".a.json.old", ".b.json.99999999.earlier"]
    for name in others:
        (folder / name).touch()
    with Together() as files:
        write_all(files, folder)
    assert contents(folder) == LATER | dict.fromkeys(others, "")


def test_leftovers_are_removed_even_if_the_process_number_is_used_again(folder: Path) -> None:
    """In containers, process numbers are soon used again; and another sample has other files."""
    left = folder / f".a.json.{os.getppid()}.new1"
    other = folder / ".other.json.99999999.new1"
    for path in (left, other):
        path.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psutil.Process.create_time", lambda _: left.stat().st_ctime + 10)
        with Together() as files:
            write_all(files, folder)
    assert contents(folder) == LATER
    assert not left.exists()
    assert not other.exists()


@pytest.mark.parametrize("name", [".a.json.123.newx1", ".b.json.99999999.earlier"])
def test_neither_git_nor_dvc_sees_leftovers(name: str) -> None:
    ignored = (ROOT / ".dvcignore").read_text().splitlines()
    assert any(fnmatch(name, pattern) for pattern in ignored)
    done = subprocess.run(["git", "check-ignore", "-q", f"metrics/{name}"], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_folder_that_a_killed_writer_moved_comes_back(folder: Path) -> None:
    program = KILLED.format(call="replace", at=3)
    subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert not (folder / "c").exists()
    fail_in_place(folder / "c")
    assert (folder / "c" / "inside.txt").read_text() == "old c"


def test_no_result_takes_the_place_of_a_pipe_or_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renaming would take `/dev/null` away from all programs; here the pipe is in a test folder."""
    assert Path("/dev") == together.DEVICES
    monkeypatch.setattr(together, "DEVICES", tmp_path / "dev")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link", "dev/stdout"):
        for take in (Together.file, Together.folder):
            files = Together()
            with pytest.raises(NoPlaceError, match="a pipe, socket or device"), files:
                take(files, tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("place", ["", "."])
def test_a_place_has_a_name(place: str) -> None:
    with pytest.raises(NoPlaceError, match="no name"), Together() as files:
        files.file(Path(place))


@pytest.mark.parametrize("second", ["out", "out/b.json", "out/deep/b.json"])
def test_one_result_is_not_lost_in_the_place_of_another(tmp_path: Path, second: str) -> None:
    files = Together()
    files.nothing(tmp_path / second)  # what is to go may be written after all
    files.folder(tmp_path / "out")
    with pytest.raises(NoPlaceError, match="another result"), files:
        files.file(tmp_path / second)
    assert list(tmp_path.iterdir()) == []


def test_no_file_takes_the_place_of_a_folder_and_all_in_it(folder: Path) -> None:
    with pytest.raises(NoPlaceError, match="a folder"), Together() as files:
        files.file(folder / "c")
    with pytest.raises(NoPlaceError, match="a file, not a folder"), Together() as files:
        files.folder(folder / "a.json")
    assert contents(folder) == EARLIER


@pytest.mark.skipif(sys.platform != "linux", reason="looks files up in /proc")
def test_new_files_are_on_the_disk_before_they_take_their_places(
    tmp_path: Path, synced: list[Path]
) -> None:
    with Together() as files:
        written = files.file(tmp_path / "a.json")
        written.write_text("new a")
        assert synced == []
    assert written in synced
