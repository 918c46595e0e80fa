"""What was fetched into a folder: noted file by file, and checked on the next fetch."""

from pathlib import Path

from m1.files import read_record, write_record
from m1.schemas.datasets import FetchedFile, FetchManifest
from m1.workloads.download import sha256_of

MANIFEST_FILE = "manifest.json"


class Manifest:
    """The record of a folder; written by `save`."""

    def __init__(self, root: Path) -> None:
        """Read what earlier fetches noted.

        Raises:
            UserError: if the file is there and is no manifest.
        """
        self.root = root
        self.path = root / MANIFEST_FILE
        known = read_record(FetchManifest, self.path).files if self.path.exists() else {}
        self.files = dict(known)

    def sha256_on_record(self, path: Path) -> str | None:
        """What a file had when it was fetched; None if it was not."""
        known = self.files.get(self._key(path))
        return known.sha256 if known else None

    def has_changed(self, path: Path) -> bool:
        """Whether a file that was fetched is now another one; the user's own never is."""
        known = self.files.get(self._key(path))
        if known is None:
            return False
        return path.stat().st_size != known.size_bytes or sha256_of(path) != known.sha256

    def note(self, path: Path, url: str) -> None:
        """Note a file that was just fetched."""
        size_bytes = path.stat().st_size
        self.files[self._key(path)] = FetchedFile(
            url=url, size_bytes=size_bytes, sha256=sha256_of(path)
        )

    def save(self) -> None:
        """Write the record, if there is anything on it."""
        if self.files:
            write_record(FetchManifest(files=dict(sorted(self.files.items()))), self.path)

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
