"""The official layouts of VQA v2 and of the COCO captions, as far as M1 reads and writes them.

Keys that M1 does not use (licences, URLs, dates) are ignored.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import ConfigDict

from m1.errors import UserError
from m1.schemas.base import Record

QUESTIONS = "v2_OpenEnded_*_questions.json"
ANNOTATIONS = "v2_*_annotations.json"
CAPTIONS = "captions*.json"
KARPATHY_SPLIT = "dataset_coco.json"
# The official archives hold training beside validation.
PREFERRED = "val2014"
IMAGE_NAME = re.compile(r"(?:COCO_\w+_)?(\d{12})\.(?:jpg|jpeg|png)", re.IGNORECASE)


class Official(Record):
    """A part of an official file."""

    model_config = ConfigDict(extra="ignore")


class Question(Official):
    """A question of VQA v2."""

    question_id: int
    """Unique id."""
    image_id: int
    """COCO id of the image."""
    question: str
    """The question's text."""


class Questions(Official):
    """`v2_OpenEnded_*_questions.json`."""

    questions: tuple[Question, ...]
    """All questions."""


class Answer(Official):
    """One person's answer."""

    answer: str
    """The answer's text."""
    answer_id: int
    """1 to 10."""
    answer_confidence: str = "yes"
    """Whether the person was sure: yes, maybe or no."""


class Annotation(Official):
    """What people answered to one question."""

    question_id: int
    """The question's id."""
    image_id: int
    """COCO id of the image."""
    question_type: str | None = None
    """Kind of question; its first words in VQA v2."""
    answer_type: str | None = None
    """yes/no, number or other."""
    multiple_choice_answer: str | None = None
    """The most frequent answer."""
    answers: tuple[Answer, ...]
    """Ten people's answers."""


class Annotations(Official):
    """`v2_*_annotations.json`."""

    annotations: tuple[Annotation, ...]
    """What people answered, question by question."""


class CocoImage(Official):
    """An image that captions are about."""

    id: int
    """COCO id."""


class Caption(Official):
    """One person's caption."""

    id: int
    """Unique id."""
    image_id: int
    """COCO id of the image."""
    caption: str
    """The caption's text."""


class KarpathyImage(Official):
    """An image in one part of the Karpathy split."""

    cocoid: int
    """COCO id."""
    split: str
    """train, restval, val or test."""


class KarpathySplit(Official):
    """`dataset_coco.json`."""

    images: tuple[KarpathyImage, ...]
    """All images of COCO's train2014 and val2014."""


class Captions(Official):
    """`captions_*.json`."""

    images: tuple[CocoImage, ...]
    """The images."""
    annotations: tuple[Caption, ...]
    """Their captions, in any order."""


def image_name(image_id: int) -> str:
    """An image's id as COCO writes it in file names."""
    return f"{image_id:012d}"


def find_all(root: Path, pattern: str) -> list[Path]:
    """The files of that name in `root` and in `root/annotations`."""
    return sorted([*root.glob(pattern), *root.glob(f"annotations/{pattern}")])


def find_one(root: Path, pattern: str) -> Path:
    """The one file of that name in `root` or `root/annotations`; of several, that of val2014.

    Raises:
        UserError: if there is none, or more than one.
    """
    found = find_all(root, pattern)
    if not found:
        raise UserError(
            f"{root}: no {pattern} in it or its annotations/; run `m1 fetch`, or put the file there"
        )
    found = [path for path in found if PREFERRED in path.name] or found
    if len(found) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in found)
        raise UserError(f"{root}: several {pattern} ({names}); leave the one to use")
    return found[0]


class OfficialImages:
    """The images in a folder and its subfolders, by COCO id."""

    def __init__(self, root: Path) -> None:
        """List what is there; no image is opened."""
        self.root = root
        self.names: dict[int, list[str]] = {}
        for path in sorted([*root.glob("*"), *root.glob("*/*")]):
            if name := IMAGE_NAME.fullmatch(path.name):
                self.names.setdefault(int(name[1]), []).append(path.relative_to(root).as_posix())

    def __contains__(self, image_id: int) -> bool:
        """Whether the image is there."""
        return image_id in self.names

    def path_of(self, image_id: int) -> Path:
        """The path of one image.

        Raises:
            UserError: if there is no such image, or more than one.
        """
        found = self.names.get(image_id, [])
        if not found:
            name = image_name(image_id)
            raise UserError(
                f"{self.root}: image {image_id} is missing; run `m1 fetch`, or put {name}.jpg "
                f"(or COCO_..._{name}.jpg) in it or a subfolder"
            )
        if len(found) > 1:
            both = " and ".join(found)
            raise UserError(f"{self.root}: image {image_id} is there as {both}; keep one")
        return self.root / found[0]


def check_unique(what: str, ids: Iterable[int | str], path: Path) -> None:
    """See that no id occurs twice.

    Raises:
        UserError: naming the file and the first id that does.
    """
    twice = next((key for key, n in Counter(ids).items() if n > 1), None)
    if twice is not None:
        raise UserError(f"{path}: {what} {twice} occurs more than once; remove the others")
