"""Move several files and folders to their places together, or none of them."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Self

# Names of temporary files beside the place of a file: `.<name>.<process>.<kind>`. Their writer
# removes them when it ends.
EARLIER = "earlier"
NEW = "new"
LEFT = re.compile(rf"\.(?P<name>.+)\.(?P<writer>[0-9]+)\.(?P<what>{EARLIER}|{NEW}\w*)")
# The largest difference between the clock of processes and the clock of files.
CLOCK_S = 2.0
# A link in this folder, such as /dev/stdout, may lead to a regular file. It is still no place for a
# result.
DEVICES = Path("/dev")


class NoPlaceError(OSError):
    """A path to which no result can be written."""


class Together:
    """Files and folders that are written beside their places, and then moved there together.

    Use it as a context. If the block ends without an error, everything is moved to its place. If
    something cannot be moved, all places are as before and `OSError` is raised. Files are on the
    disk before they are moved. So after a power cut, a place has the old file or the new one.
    """

    def __init__(self) -> None:
        """Start without any file."""
        self._new: dict[Path, Path | None] = {}
        self._earlier: dict[Path, Path | None] = {}
        self.at = Path()
        """The place that is handled now. An error is about this place."""

    def __enter__(self) -> Self:
        """Do nothing: files and folders are made when they are asked for."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Move everything to its place; if the block raised an error, move nothing."""
        try:
            if kind is None:
                self._move()
        finally:
            self._clear()

    def file(self, place: Path) -> Path:
        """A path to write a file to, before it is moved to `place`."""
        self._begin(place)
        _refuse_folder(place)
        partial = self._beside(place)
        partial.touch()
        return partial

    def folder(self, place: Path) -> Path:
        """An empty folder to write into, before it is moved to `place`."""
        self._begin(place)
        if place.is_file():
            raise NoPlaceError("a file, not a folder")
        partial = self._beside(place)
        partial.mkdir()
        return partial

    def nothing(self, place: Path) -> None:
        """Leave nothing at a place. A file of an earlier run is removed from it."""
        self._begin(place)
        _refuse_folder(place)
        self._new[place] = None

    def _begin(self, place: Path) -> None:
        """Take a place to which nothing else is written."""
        self.at = place
        self._check(place)
        _clean_up(place)

    def _beside(self, place: Path) -> Path:
        """A new path in a folder beside a place, so that moving it there is one step."""
        place.parent.mkdir(parents=True, exist_ok=True)
        own = tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.{os.getpid()}.{NEW}")
        # Some writers choose the format by the suffix of the name.
        partial = Path(own) / f"new{place.suffix}"
        self._new[place] = partial
        return partial

    def _check(self, place: Path) -> None:
        """Check that a file or folder can be at a place, and that no other result is written there.

        Without this check, a user with write permission everywhere could replace `/dev/null` for
        all programs.
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
        """Restore a place. If this fails, no error is raised, so that others are still restored."""
        earlier, new = self._earlier[place], self._new[place]
        if new and new.exists() and place.exists():
            return  # Nothing was moved to this place.
        try:
            if earlier is None:
                _remove(place)
                return
            if place.is_dir():
                shutil.rmtree(place)
            earlier.replace(place)
        except OSError:
            # The earlier content stays beside the place. The next writer puts it back.
            del self._earlier[place]

    def _clear(self) -> None:
        """Remove new files that were not moved, and the earlier files that were set aside."""
        for earlier in self._earlier.values():
            if earlier:
                _remove(earlier)
        for new in self._new.values():
            if new:
                shutil.rmtree(new.parent, ignore_errors=True)


def _plain(place: Path) -> Path:
    """An absolute path without `..`. Links are kept: two may lead to one file of DVC's cache."""
    return Path(os.path.abspath(place))  # noqa: PTH100 (pathlib would follow them)


def _refuse_folder(place: Path) -> None:
    """Refuse a folder at the place of a file, since its content would be lost."""
    if place.is_dir():
        raise NoPlaceError("a folder")


def _clean_up(place: Path) -> None:
    """Remove files that killed writers left beside a place; put back what they took from it.

    New files for other places in the same folder are removed, too, since nobody may write to those
    places again. Earlier files of other places stay.
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
    """Whether the writer of a path has ended; `own`: the path is of the place that begins now."""
    import psutil

    if own and writer == os.getpid():
        return True  # This process has written nothing there yet.
    try:
        # The system uses process numbers again, in containers soon. A process that began after the
        # file was written is another one.
        return psutil.Process(writer).create_time() > path.lstat().st_ctime + CLOCK_S
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except (psutil.Error, OSError):
        return False  # The process is another user's and alive, or the path was just removed.


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _set_aside(place: Path, new: Path | None) -> Path | None:
    """Keep the content of a place under another name, so that it can be put back."""
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
