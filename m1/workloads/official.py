"""The parts of the official layouts of VQA v2 and the COCO captions that M1 reads and writes.

Keys that M1 does not use (licences, URLs, dates) are ignored.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from pydantic import ConfigDict

from m1.errors import UserError
from m1.reading import is_file, leads_out, shown
from m1.schemas.base import Record

QUESTIONS = "v2_OpenEnded_*_questions.json"
ANNOTATIONS = "v2_*_annotations.json"
CAPTIONS = "captions*.json"
KARPATHY_SPLIT = "dataset_coco.json"
# The official archives contain both training and validation files.
PREFERRED = "val2014"
PARTS = re.compile(r"(?:train|val)(?:2014|2017)")
IMAGE_NAME = re.compile(r"(?:COCO_\w+_)?(\d{12})\.(?:jpg|jpeg|png)", re.IGNORECASE)


class Official(Record):
    """A part of an official file."""

    model_config = ConfigDict(extra="ignore")


class OfficialQuestion(Official):
    """A question of VQA v2."""

    question_id: int
    """Unique id."""
    image_id: int
    """COCO id of the image."""
    question: str
    """The question's text."""


class OfficialQuestions(Official):
    """`v2_OpenEnded_*_questions.json`."""

    questions: tuple[OfficialQuestion, ...]
    """All questions."""


class OfficialAnswer(Official):
    """One person's answer."""

    answer: str
    """The answer's text."""
    answer_id: int | None = None
    """1 to 10; exports often leave it out."""
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
    answers: tuple[OfficialAnswer, ...]
    """Ten people's answers."""


class Annotations(Official):
    """`v2_*_annotations.json`."""

    annotations: tuple[Annotation, ...]
    """What people answered, question by question."""


class CocoImage(Official):
    """An image that captions are about."""

    id: int
    """COCO id."""
    file_name: str | None = None
    """Path of the image from the dataset's folder, or its name in a subfolder."""


class Caption(Official):
    """One person's caption."""

    id: int | None = None
    """Unique id; exports often leave it out."""
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


def image_path(image_id: int, annotations: Path) -> str:
    """The path of an image on the official server, from the name of its annotation file."""
    part = PARTS.search(annotations.name)
    folder = part[0] if part else PREFERRED
    prefix = f"COCO_{folder}_" if folder.endswith("2014") else ""
    return f"{folder}/{prefix}{image_name(image_id)}.jpg"


def find_all(root: Path, pattern: str) -> list[Path]:
    """The files of that name in `root` and in `root/annotations`."""
    return sorted([*root.glob(pattern), *root.glob(f"annotations/{pattern}")])


def _or_fetch(root: Path) -> str:
    """Advice to run `m1 fetch`, if it fetched the rest of the dataset; else an empty text."""
    manifests = (Path(f"{root}.json"), root / "manifest.json")
    return "run `m1 fetch`, or " if any(map(is_file, manifests)) else ""


def find_one(root: Path, pattern: str, name: str | None = None, key: str = "") -> Path:
    """The one file of that name in `root` or `root/annotations`; of several, the val2014 file.

    Args:
        root: folder of the dataset.
        pattern: pattern of the file's name.
        name: the file to use, whatever its name; None looks for the pattern.
        key: key of the parameter that can name a file.

    Raises:
        UserError: if there is no such file, or more than one.
    """
    files = find_all(root, pattern)
    if name is not None:
        return _named(root, name, key, files)
    if not files:
        raise UserError(
            f"{root}: no {pattern} in it or its annotations/; {_or_fetch(root)}put the file there"
        )
    files = [path for path in files if PREFERRED in path.name] or files
    if len(files) > 1:
        choice = f"name the one to use in {key}" if key else "leave the one to use"
        raise UserError(f"{root}: several {pattern} ({_names(files, root)}); {choice}")
    return files[0]


def _named(root: Path, name: str, key: str, others: Sequence[Path]) -> Path:
    there = [path for path in places_of(root, name) if is_file(path)]
    if not there:
        instead = _names(others, root) or "none of the usual name"
        raise UserError(
            f"{key}: no {shown(name)} in {root} or its annotations/; there is {instead}"
        )
    return there[0]


def places_of(root: Path, name: str) -> tuple[Path, Path]:
    """The possible places of an annotation file."""
    return root / name, root / "annotations" / name


def _names(paths: Sequence[Path], root: Path) -> str:
    return ", ".join(path.relative_to(root).as_posix() for path in paths)


class MissingImageError(UserError):
    """An image of a dataset that is not in its folder."""


class OfficialImages:
    """The images in a folder and its subfolders, by COCO id or by names of their own."""

    def __init__(self, root: Path, file_names: Mapping[int, str] | None = None) -> None:
        """List what is there; no image is opened.

        Args:
            root: the folder.
            file_names: names of images in the annotations, by COCO id.
        """
        self.root, self.file_names = root, file_names or {}
        inside = sorted(root.glob("*/*"))
        self.folders = tuple(dict.fromkeys(path.parent for path in inside))
        self.names: dict[int, list[str]] = {}
        for path in sorted([*root.glob("*"), *inside]):
            if name := IMAGE_NAME.fullmatch(path.name):
                self.names.setdefault(int(name[1]), []).append(path.relative_to(root).as_posix())

    def path_of(self, image_id: int) -> Path:
        """The path of one image, found by its own name or else by its id.

        Raises:
            UserError: if there is no such image, if there are several, or if it is outside the
                folder.
        """
        name = self.file_names.get(image_id)
        paths = self.names.get(image_id, [])
        if name:
            named = [path for path in paths if f"/{path}".endswith(f"/{name}")]
            paths = named or self._of_name(name) or paths
        if not paths:
            raise MissingImageError(
                f"{self.root}: image {image_id} is missing; {_or_fetch(self.root)}put "
                f"{f'{shown(name)} or ' if name else ''}{image_name(image_id)}.jpg (or "
                f"COCO_..._{image_name(image_id)}.jpg) in it or a subfolder"
            )
        if len(paths) > 1:
            both = " and ".join(paths)
            raise UserError(f"{self.root}: image {image_id} is there as {both}; keep one")
        return self.root / paths[0]

    def _of_name(self, name: str) -> list[str]:
        """Files with a name in the root, or else in its subfolders."""
        paths = [self.root / name]
        if (inside := not is_upwards(name)) and not is_file(paths[0]):
            paths = [path for folder in self.folders if is_file(path := folder / name)]
        if not inside or any(leads_out(path, self.root) for path in paths):
            raise UserError(
                f"{self.root}: file_name {shown(name)!r} leads out of the folder; put the image in "
                "the folder, and name it by its path from there"
            )
        return [path.relative_to(self.root).as_posix() for path in paths]


def is_upwards(name: str) -> bool:
    """Whether a path leads out of the folder that it starts from."""
    path = PurePath(name)
    return path.is_absolute() or ".." in path.parts


def check_unique(what: str, ids: Iterable[int | str], path: Path) -> None:
    """Check that no id occurs twice.

    Raises:
        UserError: if one does; the message names the file and the first such id.
    """
    twice = next((key for key, n in Counter(ids).items() if n > 1), None)
    if twice is not None:
        raise UserError(f"{path}: {what} {twice} occurs more than once; remove the others")
