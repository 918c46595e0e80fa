"""What is kept in `.m1` beside DVC's outputs, to be used again under all that decides it."""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent


def shared_folder(folder: Path, working: Path) -> Path:
    """Where things are kept: `folder` in the project.

    Queued experiments run in copies of the project below its `.dvc`, which are thrown away. They
    keep things with the project's, so that what one experiment has done is there for another, and
    for its own next attempt.
    """
    inside = [parent.parent for parent in working.parents if parent.name == ".dvc"]
    return (inside[-1] if inside else working) / folder


def source_fingerprint(*folders: Path) -> str:
    """SHA-256 over the Python source in folders and below."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
