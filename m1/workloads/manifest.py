"""The manifest: a record of the files that were fetched for a dataset, to check them later."""

from collections.abc import Iterable
from pathlib import Path

from m1.errors import UserError
from m1.files import read_record, write_record
from m1.schemas.datasets import FetchedFile, FetchManifest
from m1.workloads.download import sha256_of

MANIFEST_SUFFIX = ".json"
MANIFEST_FILE = "manifest.json"


def folder_of(root: Path) -> Path:
    """The folder of a dataset's files: the folder of its manifest, or `root` itself."""
    return root.with_suffix("") if root.suffix == MANIFEST_SUFFIX else root


class Manifest:
    """The record of a dataset; written by `save`."""

    def __init__(self, root: Path) -> None:
        """Read the record of earlier fetches from `root`, or from a file in it if it is a folder.

        Raises:
            UserError: if the file is not a manifest.
        """
        self.folder = folder_of(root)
        self.path = root / MANIFEST_FILE if root == self.folder else root
        known = read_record(FetchManifest, self.path).files if self.path.exists() else {}
        self.files = dict(known)

    def sha256_on_record(self, path: Path) -> str | None:
        """The checksum of a file when it was fetched; None if it was not fetched."""
        known = self.files.get(self._key(path))
        return known.sha256 if known else None

    def has_changed(self, path: Path) -> bool:
        """Whether a fetched file has changed. The user's own files are not checked."""
        known = self.files.get(self._key(path))
        if known is None:
            return False
        return path.stat().st_size != known.size_bytes or sha256_of(path) != known.sha256

    def check(self, paths: Iterable[Path]) -> None:
        """Check that fetched files did not change.

        Raises:
            UserError: if one did; the message names the first.
        """
        changed = next((path for path in paths if self.has_changed(path)), None)
        if changed is not None:
            raise UserError(
                f"{changed}: not as {self.path} has it; run `m1 fetch`, which restores it"
            )

    def note(self, path: Path, url: str) -> None:
        """Note a file that was just fetched."""
        size_bytes = path.stat().st_size
        self.files[self._key(path)] = FetchedFile(
            url=url, size_bytes=size_bytes, sha256=sha256_of(path)
        )

    def save(self) -> None:
        """Write the record, if it is not empty."""
        if self.files:
            write_record(FetchManifest(files=dict(sorted(self.files.items()))), self.path)

    def _key(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()
