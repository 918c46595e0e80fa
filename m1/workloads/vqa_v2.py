"""Requests from VQA v2 in its official layout."""

from collections.abc import Sequence
from pathlib import Path

from m1.errors import UserError
from m1.files import read_record
from m1.schemas.requests import Request
from m1.workloads.dataset import Dataset
from m1.workloads.official import (
    ANNOTATIONS,
    QUESTIONS,
    Annotation,
    Annotations,
    OfficialImages,
    OfficialQuestion,
    OfficialQuestions,
    check_unique,
    find_one,
    image_name,
)


def read_vqa_v2(root: Path, prompt: str, annotations: Sequence[str] | None = None) -> Dataset:
    """Read all questions with their answers, in the order of the questions file.

    Args:
        root: folder of the dataset, images in it or in subfolders.
        prompt: what the model is asked; `{question}` stands for the question.
        annotations: the file with the questions and the file with the answers; None takes the
            only ones, or those of val2014.

    Returns:
        Requests whose images are COCO ids. Only images that are used have to exist.

    Raises:
        UserError: if a file has a mistake; the message names the file and says how to fix it.
    """
    questions_path, annotations_path = find_questions(root, annotations)
    questions = read_record(OfficialQuestions, questions_path).questions
    _check_questions(questions, questions_path)
    answered = read_record(Annotations, annotations_path).annotations
    check_unique("question", (a.question_id for a in answered), annotations_path)
    pairs = _paired(questions, answered, annotations_path)
    images = OfficialImages(root)
    requests = [_request(question, annotation, prompt) for question, annotation in pairs]
    return Dataset(requests, {}, lambda request: images.path_of(int(request.image_id)))


def find_questions(root: Path, names: Sequence[str] | None) -> tuple[Path, Path]:
    """The file with the questions and the file with the answers.

    Raises:
        UserError: if one does not exist, or if there are several and none is named.
    """
    questions, annotations = names or (None, None)
    key = "data.qa.annotations"
    return find_one(root, QUESTIONS, questions, key), find_one(root, ANNOTATIONS, annotations, key)


def _check_questions(questions: Sequence[OfficialQuestion], path: Path) -> None:
    check_unique("question", (question.question_id for question in questions), path)
    empty = next((q.question_id for q in questions if not q.question.strip()), None)
    if empty is not None:
        raise UserError(
            f"{path}: question {empty} has no text; add it, or remove it from both files"
        )


def _paired(
    questions: Sequence[OfficialQuestion], annotations: Sequence[Annotation], path: Path
) -> list[tuple[OfficialQuestion, Annotation]]:
    """Each question with its annotation, after a check that they belong together."""
    annotation_of = {annotation.question_id: annotation for annotation in annotations}
    for question in questions:
        _check_annotation(question, annotation_of.get(question.question_id), path)
    orphans = annotation_of.keys() - {question.question_id for question in questions}
    if orphans:
        raise UserError(
            f"{path}: it annotates question {min(orphans)}, which the questions file does not "
            "have; take both files from the same split"
        )
    return [(question, annotation_of[question.question_id]) for question in questions]


def _check_annotation(
    question: OfficialQuestion, annotation: Annotation | None, path: Path
) -> None:
    place = f"{path}: question {question.question_id}"
    if annotation is None:
        raise UserError(f"{place} has no annotation; take both files from the same split")
    if annotation.image_id != question.image_id:
        raise UserError(
            f"{place} is about image {annotation.image_id} here and about image "
            f"{question.image_id} in the questions file; take both files from the same split"
        )
    if not any(answer.answer.strip() for answer in annotation.answers):
        raise UserError(f"{place} has no answers; add them, or remove it from both files")


def _request(question: OfficialQuestion, annotation: Annotation, prompt: str) -> Request:
    return Request(
        request_id=f"qa-{question.question_id}",
        image_id=image_name(question.image_id),
        image=image_name(question.image_id),
        prompt=prompt.replace("{question}", question.question),
        references=tuple(answer.answer for answer in annotation.answers),
        kind=annotation.question_type,
    )
