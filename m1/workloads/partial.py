"""A file that was fetched in part, and how to ask for the rest of it."""

from dataclasses import dataclass
from pathlib import Path

import httpx2

from m1.files import write_text
from m1.reading import read_text


@dataclass(frozen=True)
class Part:
    """The part of a file that was fetched, and the server's tag of the whole file."""

    path: Path

    @property
    def tag(self) -> Path:
        """The file that contains the tag, in the same folder."""
        return self.path.with_name(f"{self.path.name}.tag")

    def size_bytes(self) -> int:
        """The size of the fetched part."""
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Headers that ask for the rest if the server still has the same file.

        Without a tag they ask for the whole file.
        """
        if not (self.size_bytes() and self.tag.exists()):
            return {}
        return {"Range": f"bytes={self.size_bytes()}-", "If-Range": read_text(self.tag)}

    def start_over(self, response: httpx2.Response) -> None:
        """Delete the fetched part, and note the tag of the new answer."""
        self.discard()
        etag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes.
        tag = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
        if tag := tag or response.headers.get("Last-Modified"):
            write_text(tag, self.tag)

    def discard(self) -> None:
        """Delete the fetched part."""
        self.path.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def part_of(target: Path) -> Part:
    """The part of a file, kept until the file is whole."""
    return Part(target.with_name(f"{target.name}.part"))
