"""Files and folders that take their places together, or none does."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

# Links of this folder lead to files where outputs are files, and are still no results.
DEVICES = Path("/dev")


class NoPlaceError(OSError):
    """A path that no result can take."""


class Together:
    """What is written beside its places, until all of it is moved there at once.

    As a context it moves what was written once the block ends well, and raises `OSError` if
    something cannot be moved; all places are then as they were. Files are on the disk before they
    are moved, so that a power cut leaves one of both.
    """

    def __init__(self) -> None:
        """Nothing is written yet."""
        self._new: dict[Path, Path | None] = {}
        self._earlier: dict[Path, Path | None] = {}
        self.at = Path()
        """The place at work, which is the one that an error is about."""

    def __enter__(self) -> Self:
        """Nothing: what is asked for is made."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Move everything to its place, or nothing where something went wrong."""
        try:
            if kind is None:
                self._move()
        finally:
            self._clear()

    def file(self, place: Path) -> Path:
        """A path to write to, for a file whose place is `place`."""
        partial = self._beside(place)
        if place.is_dir():  # all that is in it would be gone
            raise NoPlaceError("a folder")
        partial.touch()
        return partial

    def folder(self, place: Path) -> Path:
        """An empty folder to write into, whose place is `place`."""
        partial = self._beside(place)
        if place.is_file():
            raise NoPlaceError("a file, where a folder is to be")
        partial.mkdir()
        return partial

    def nothing(self, place: Path) -> None:
        """Leave nothing at a place, where an earlier run may have left a file."""
        self._new[place] = None

    def _beside(self, place: Path) -> Path:
        """A path of its own in the folder of a place, so that moving it is one step."""
        self.at = place
        self._check(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        own = tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.")
        # Some writers choose the format by the ending.
        self._new[place] = Path(own) / f"new{place.suffix}"
        return Path(own) / f"new{place.suffix}"

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
        taken = {other.absolute() for other, new in self._new.items() if new}
        if taken & {place.absolute(), *place.absolute().parents}:
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
            for place, earlier in reversed(self._earlier.items()):
                _put_back(place, earlier)
            raise

    def _clear(self) -> None:
        """Remove what was not moved, and the earlier files that were set aside."""
        for earlier in self._earlier.values():
            if earlier:
                _remove(earlier)
        for new in self._new.values():
            if new:
                shutil.rmtree(new.parent, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _set_aside(place: Path, new: Path | None) -> Path | None:
    """Keep what is at a place under another name, so that it can be put back."""
    if not place.exists() and not place.is_symlink():
        return None
    aside = place.with_name(f".{place.name}.{os.getpid()}.earlier")
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


def _put_back(place: Path, earlier: Path | None) -> None:
    if earlier:
        if place.is_dir():
            shutil.rmtree(place)
        earlier.replace(place)
    else:
        _remove(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
