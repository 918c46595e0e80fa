"""A cache of answers. Their key is everything that decides them.

DVC does not track the cache, since DVC removes a stage's results before it runs the stage again.
An answer stays valid as long as its key does not change.
"""

from collections.abc import Sequence
from pathlib import Path

from m1.kept import PACKAGE, find, keep, path_of, source_fingerprint, tell_changed
from m1.origin import rows_fingerprint
from m1.schemas.answers import Answer, AnsweredCell, AnswerKey

CODE = (PACKAGE / "vlm", PACKAGE / "answering", PACKAGE / "images.py")
"""The source code that makes answers."""


def find_answers(key: AnswerKey, folder: Path) -> tuple[Answer, ...] | None:
    """The answers that were kept under a key; `None` if they are missing or were changed."""
    cell = find(AnsweredCell, key, folder)
    if cell and cell.answers_fingerprint != rows_fingerprint(cell.answers):
        tell_changed(path_of(key, folder))
        return None
    return cell.answers if cell else None


def keep_answers(key: AnswerKey, answers: Sequence[Answer], folder: Path) -> None:
    """Keep the answers of a cell, whole or not at all."""
    fingerprint = rows_fingerprint(answers)
    keep(AnsweredCell(key=key, answers=tuple(answers), answers_fingerprint=fingerprint), folder)


def code_fingerprint() -> str:
    """SHA-256 of the source code that makes answers."""
    return source_fingerprint(*CODE)
