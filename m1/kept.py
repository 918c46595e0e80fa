"""Results that are kept in `.m1`, outside DVC. They are used again if nothing has changed.

Journals, answers and importance scores are kept here. The name of a file is the SHA-256 of its
key, which holds everything that decides the content: also the source code that makes it.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from m1.errors import UserError
from m1.files import read_record, write_record
from m1.plain_text import tell
from m1.schemas.base import Keyed, Record

K = TypeVar("K", bound=Keyed)

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


def path_of(key: Record, folder: Path, ending: str = ".json") -> Path:
    """The file that is kept under a key."""
    return folder / f"{hashlib.sha256(key.model_dump_json().encode()).hexdigest()}{ending}"


def find(kind: type[K], key: Record, folder: Path) -> K | None:
    """The record that is kept under a key.

    Returns:
        The record; `None` if there is none, or if it is damaged or of another key. The last two
        are reported.
    """
    path = path_of(key, folder)
    if not path.exists():
        return None
    try:
        record = read_record(kind, path)
    except UserError as error:
        tell(f"{error}: damaged, so it is made again")
        return None
    if record.key != key:
        tell_changed(path)
        return None
    return record


def keep(record: Keyed, folder: Path) -> None:
    """Keep a record under its key, whole or not at all."""
    write_record(record, path_of(record.key, folder))


def tell_changed(path: Path) -> None:
    """Report that a kept file is not used."""
    tell(f"{path}: changed since it was written, so it is made again")


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
