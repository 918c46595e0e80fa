"""What is kept in `.m1` beside DVC's outputs, to be used again under all that decides it."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from m1.errors import UserError
from m1.files import read_record
from m1.plain_text import tell
from m1.schemas.base import Record

R = TypeVar("R", bound=Record)
PACKAGE = Path(__file__).parent
# What models are run with.
LIBRARIES = ("torch", "transformers", "tokenizers", "pillow")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that make answers and scores."""
    return {name: version(name) for name in LIBRARIES}


def shared_folder(folder: Path, working: Path) -> Path:
    """Where things are kept: `folder` in the project.

    Queued experiments run in copies of the project below its `.dvc`, which are thrown away. They
    keep things with the project's, so that what one experiment has done is there for another, and
    for its own next attempt.
    """
    inside = [parent.parent for parent in working.parents if parent.name == ".dvc"]
    return (inside[-1] if inside else working) / folder


def read_kept(kind: type[R], path: Path) -> R | None:
    """A record that was kept; none where there is none, or where it is damaged, which is told."""
    if not path.exists():
        return None
    try:
        return read_record(kind, path)
    except UserError as error:
        tell(f"{error}: damaged, so it is made again")
        return None


def source_fingerprint(*places: Path) -> str:
    """SHA-256 over Python source: of files, and of folders and below.

    A file counts under its path from the place's parent, so that one that is moved counts as
    changed.
    """
    digest = hashlib.sha256()
    for place in places:
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.relative_to(place.parent).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
