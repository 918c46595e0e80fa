"""A cache of answers. Their key is everything that decides them.

DVC does not track the cache, since DVC removes a stage's results before it runs the stage again.
An answer stays valid as long as its key does not change.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from m1.files import write_record
from m1.kept import PACKAGE, read_kept, source_fingerprint
from m1.origin import rows_fingerprint
from m1.plain_text import tell
from m1.schemas.answers import Answer, AnsweredCell, AnswerKey

CODE = (PACKAGE / "vlm", PACKAGE / "answering", PACKAGE / "images.py")
"""The source code that makes answers."""


def find_answers(key: AnswerKey, folder: Path) -> tuple[Answer, ...] | None:
    """The answers that were kept under a key; `None` if they are missing or were changed."""
    path = _path(key, folder)
    cell = read_kept(AnsweredCell, path)
    if cell is None:
        return None
    if cell.key != key or cell.answers_fingerprint != rows_fingerprint(cell.answers):
        tell(f"{path}: changed since it was written, so it is made again")
        return None
    return cell.answers


def keep_answers(key: AnswerKey, answers: Sequence[Answer], folder: Path) -> None:
    """Keep the answers of a cell, whole or not at all."""
    fingerprint = rows_fingerprint(answers)
    cell = AnsweredCell(key=key, answers=tuple(answers), answers_fingerprint=fingerprint)
    write_record(cell, _path(key, folder))


def _path(key: AnswerKey, folder: Path) -> Path:
    return folder / f"{hashlib.sha256(key.model_dump_json().encode()).hexdigest()}.json"


def code_fingerprint() -> str:
    """SHA-256 of the source code that makes answers."""
    return source_fingerprint(*CODE)
