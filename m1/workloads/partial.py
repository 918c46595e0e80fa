"""A file that is here in part, and what is needed to ask for the rest of it."""

from dataclasses import dataclass
from pathlib import Path

import httpx2

from m1.files import write_text
from m1.reading import read_text


@dataclass(frozen=True)
class Part:
    """The part of a file that is here already, and the server's tag for what it is a part of."""

    path: Path

    @property
    def tag(self) -> Path:
        """The file beside it that holds the tag."""
        return self.path.with_name(f"{self.path.name}.tag")

    def size_bytes(self) -> int:
        """How much is here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest, if the server still has the same file; without a tag for all of it."""
        if not (self.size_bytes() and self.tag.exists()):
            return {}
        return {"Range": f"bytes={self.size_bytes()}-", "If-Range": read_text(self.tag)}

    def start_over(self, response: httpx2.Response) -> None:
        """Forget what is here, and note the tag of what comes."""
        self.discard()
        etag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes.
        tag = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
        if tag := tag or response.headers.get("Last-Modified"):
            write_text(tag, self.tag)

    def discard(self) -> None:
        """Forget what is here."""
        self.path.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def part_of(target: Path) -> Part:
    """Where a file is kept until it is whole."""
    return Part(target.with_name(f"{target.name}.part"))
