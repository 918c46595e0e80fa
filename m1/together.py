"""Write several files and folders together: either all of them change, or none."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Self

# Beside the place of a file, and gone when the writer is: `.<name>.<process>.<what it is>`.
EARLIER = "earlier"
NEW = "new"
LEFT = re.compile(rf"\.(?P<name>.+)\.(?P<writer>[0-9]+)\.(?P<what>{EARLIER}|{NEW}\w*)")
# By how much the clocks of processes and of files may differ, at the most.
CLOCK_S = 2.0
# Links of this folder lead to files where outputs are files, and are still no results.
DEVICES = Path("/dev")


class NoPlaceError(OSError):
    """A path at which no result can be written."""


class Together:
    """What is written beside its places, until all of it is moved there at once.

    As a context it moves what was written once the block ends well, and raises `OSError` if
    something cannot be moved; all places are then as they were. Files are on the disk before they
    are moved, so that a power cut leaves one of both.
    """

    def __init__(self) -> None:
        """Start without any file."""
        self._new: dict[Path, Path | None] = {}
        self._earlier: dict[Path, Path | None] = {}
        self.at = Path()
        """The place of the current step. An error is about this place."""

    def __enter__(self) -> Self:
        """Start to write; files are made when they are asked for."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Move everything to its place, or nothing if there was an error."""
        try:
            if kind is None:
                self._move()
        finally:
            self._clear()

    def file(self, place: Path) -> Path:
        """A temporary path to write to, for a file that will be at `place`."""
        self._begin(place)
        _refuse_folder(place)
        partial = self._beside(place)
        partial.touch()
        return partial

    def folder(self, place: Path) -> Path:
        """An empty temporary folder to write into, which will be at `place`."""
        self._begin(place)
        if place.is_file():
            raise NoPlaceError("a file, where a folder is to be")
        partial = self._beside(place)
        partial.mkdir()
        return partial

    def nothing(self, place: Path) -> None:
        """Make sure that there is nothing at a place, where an earlier run may have left a file."""
        self._begin(place)
        _refuse_folder(place)
        self._new[place] = None

    def _begin(self, place: Path) -> None:
        """Reserve a place. Nothing else may be written to it."""
        self.at = place
        self._check(place)
        _clean_up(place)

    def _beside(self, place: Path) -> Path:
        """A temporary path in the folder of a place, so that the move is a single step."""
        place.parent.mkdir(parents=True, exist_ok=True)
        own = tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.{os.getpid()}.{NEW}")
        # Some writers choose the format by the ending.
        partial = Path(own) / f"new{place.suffix}"
        self._new[place] = partial
        return partial

    def _check(self, place: Path) -> None:
        """See that a place is one that a file or folder can take, and no other result takes.

        Whoever may write anywhere would else replace `/dev/null` for all programs.
        """
        if not place.name:
            raise NoPlaceError("no name")
        if place.parent.absolute() == DEVICES or (
            place.exists() and not place.is_file() and not place.is_dir()
        ):
            raise NoPlaceError("a pipe, socket or device")
        taken = {_plain(other) for other, new in self._new.items() if new}
        if taken & {_plain(place), *_plain(place).parents}:
            raise NoPlaceError("taken by another result of this command")

    def _move(self) -> None:
        """Move everything to its place; if one cannot be moved, put the earlier ones back."""
        for place, new in self._new.items():
            self.at = place
            if new and new.is_file():
                new.chmod(0o644)
                _sync(new)
        try:
            for place, new in self._new.items():
                self.at = place
                self._earlier[place] = _set_aside(place, new)
                if new:
                    new.replace(place)
        except BaseException:
            for place in reversed(list(self._earlier)):
                self._put_back(place)
            raise

    def _put_back(self, place: Path) -> None:
        """Restore a place. If one place cannot be restored, the others still are."""
        earlier, new = self._earlier[place], self._new[place]
        if new and new.exists() and place.exists():
            return  # It was never taken.
        try:
            if earlier is None:
                _remove(place)
                return
            if place.is_dir():
                shutil.rmtree(place)
            earlier.replace(place)
        except OSError:
            # What was there stays beside it, and the next to write there puts it back.
            del self._earlier[place]

    def _clear(self) -> None:
        """Remove files that were not moved, and earlier files that were set aside."""
        for earlier in self._earlier.values():
            if earlier:
                _remove(earlier)
        for new in self._new.values():
            if new:
                shutil.rmtree(new.parent, ignore_errors=True)


def _plain(place: Path) -> Path:
    """A place as a normalised path; links stay, since two may lead to one file of DVC's cache."""
    return Path(os.path.abspath(place))  # noqa: PTH100 (pathlib would follow them)


def _refuse_folder(place: Path) -> None:
    """Check that there is no folder at the place of a file. All its content would be lost."""
    if place.is_dir():
        raise NoPlaceError("a folder")


def _clean_up(place: Path) -> None:
    """Remove what writers that were killed left beside a place; put back what they took from it.

    Of other places there, whose writers may never come again, what they had begun goes, too.
    """
    for path in _inside(place.parent):
        left = LEFT.fullmatch(path.name)
        own = left is not None and left["name"] == place.name
        if left is None or not _is_of_the_dead(int(left["writer"]), path, own=own):
            continue
        if own and left["what"] == EARLIER and not os.path.lexists(place):
            path.rename(place)
        elif own or left["what"] != EARLIER:
            _remove(path)


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_of_the_dead(writer: int, path: Path, *, own: bool) -> bool:
    """Whether the writer of something is no more; `own`: of the place that is begun now."""
    import psutil

    if own and writer == os.getpid():
        return True  # This process has written nothing there yet.
    try:
        # Numbers are given again, in containers soon: who began later did not write this.
        return psutil.Process(writer).create_time() > path.lstat().st_ctime + CLOCK_S
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except (psutil.Error, OSError):
        return False  # Somebody else's, and alive; or just gone.


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _set_aside(place: Path, new: Path | None) -> Path | None:
    """Keep the present content of a place under another name, so that it can be restored."""
    if not place.exists() and not place.is_symlink():
        return None
    aside = place.with_name(f".{place.name}.{os.getpid()}.{EARLIER}")
    _remove(aside)
    if new is None or place.is_dir():
        place.rename(aside)
    else:
        # A second name, so that the place is never empty.
        try:
            aside.hardlink_to(place)
        except OSError:  # not every file system has hard links
            shutil.copy2(place, aside)
    return aside


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
