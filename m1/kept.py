"""Results that are kept in `.m1`, outside DVC. They are used again if nothing has changed."""

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
# The libraries that run models.
LIBRARIES = ("torch", "transformers", "tokenizers", "pillow")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that make answers and scores."""
    return {name: version(name) for name in LIBRARIES}


def shared_folder(folder: Path, working: Path) -> Path:
    """The folder for kept files: `folder` in the project.

    Queued experiments run in copies of the project below its `.dvc`, which are deleted afterwards.
    They keep their files in the project. So another experiment, or the next attempt of the same
    one, can use them.
    """
    inside = [parent.parent for parent in working.parents if parent.name == ".dvc"]
    return (inside[-1] if inside else working) / folder


def read_kept(kind: type[R], path: Path) -> R | None:
    """A kept record; `None` if there is none or if it is damaged, which is reported."""
    if not path.exists():
        return None
    try:
        return read_record(kind, path)
    except UserError as error:
        tell(f"{error}: damaged, so it is made again")
        return None


def source_fingerprint(*places: Path) -> str:
    """SHA-256 of Python source files, and of all source files in folders.

    The path of a file, from the parent of its place, counts too. So a moved file is a change.
    """
    digest = hashlib.sha256()
    for place in places:
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.relative_to(place.parent).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
