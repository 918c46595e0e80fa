"""A dataset of generated scenes in the official layouts of VQA v2 and of the COCO captions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m1.errors import UserError
from m1.files import write_record
from m1.params import SceneData
from m1.workloads import scene_language
from m1.workloads.official import (
    Annotation,
    Annotations,
    Caption,
    Captions,
    CocoImage,
    OfficialAnswer,
    OfficialQuestion,
    OfficialQuestions,
    image_name,
)
from m1.workloads.scenes import Scene, draw_scene, render

ATTEMPTS_PER_QUESTION = 100


def write_scene_dataset(folder: Path, seed: int, scenes: SceneData) -> None:
    """Write pictures, questions with ten answers each, and captions. The seed decides all of them.

    Pictures, questions and answers have their own random streams. So a larger number of questions
    does not change the scenes, and a larger number of scenes does not change the first ones.

    Raises:
        UserError: if a scene has fewer different questions than asked for.
    """
    streams = np.random.SeedSequence(seed).spawn(4)
    of_scenes, of_pixels, of_questions, of_answers = map(np.random.default_rng, streams)
    drawn = _draw_scenes(scenes.n_images, of_scenes)
    _write_images(folder / "images", drawn, of_pixels)
    asked = [_ask(scene, scenes.questions_per_image, of_questions) for scene in drawn]
    _write_questions(folder, asked, of_answers)
    _write_captions(folder, drawn)


def _draw_scenes(n: int, rng: np.random.Generator) -> list[Scene]:
    """Draw scenes. No two of them have the same description."""
    drawn: dict[str, Scene] = {}
    while len(drawn) < n:
        scene = draw_scene(rng, "evaluation")
        drawn.setdefault(scene_language.captions(scene)[0], scene)
    return list(drawn.values())


def _ask(scene: Scene, n: int, rng: np.random.Generator) -> list[scene_language.Question]:
    """Draw different questions."""
    asked: dict[str, scene_language.Question] = {}
    for _ in range(n * ATTEMPTS_PER_QUESTION):
        question = scene_language.ask(scene, rng)
        asked.setdefault(question.text, question)
        if len(asked) == n:
            return list(asked.values())
    raise UserError(
        f"data.scenes.questions_per_image = {n}: a scene has only about {len(asked)} different "
        "questions; ask for fewer"
    )


def _write_images(folder: Path, drawn: Sequence[Scene], rng: np.random.Generator) -> None:
    folder.mkdir()
    for image_id, scene in enumerate(drawn, start=1):
        render(scene, rng).save(folder / f"{image_name(image_id)}.png")


def _write_questions(
    folder: Path, asked: Sequence[Sequence[scene_language.Question]], rng: np.random.Generator
) -> None:
    questions, annotations = [], []
    for image_id, of_image in enumerate(asked, start=1):
        # In VQA v2 the number of a question is the image's id and three digits.
        for question_id, question in enumerate(of_image, start=1000 * image_id):
            ids = {"question_id": question_id, "image_id": image_id}
            questions.append(OfficialQuestion(**ids, question=question.text))
            annotations.append(_annotation(question, rng, **ids))
    write_record(
        OfficialQuestions(questions=tuple(questions)), folder / "v2_OpenEnded_scenes_questions.json"
    )
    write_record(Annotations(annotations=tuple(annotations)), folder / "v2_scenes_annotations.json")


def _annotation(
    question: scene_language.Question, rng: np.random.Generator, question_id: int, image_id: int
) -> Annotation:
    answers = scene_language.annotator_answers(question, rng)
    return Annotation(
        question_id=question_id,
        image_id=image_id,
        question_type=question.kind,
        answer_type=_answer_type(question.answer),
        multiple_choice_answer=question.answer,
        answers=tuple(
            OfficialAnswer(answer=a, answer_id=i) for i, a in enumerate(answers, start=1)
        ),
    )


def _answer_type(answer: str) -> str:
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if answer.isdigit() else "other"


def _write_captions(folder: Path, drawn: Sequence[Scene]) -> None:
    texts = [
        (image_id, text)
        for image_id, scene in enumerate(drawn, start=1)
        for text in scene_language.captions(scene)
    ]
    captions = Captions(
        images=tuple(CocoImage(id=image_id) for image_id in range(1, len(drawn) + 1)),
        annotations=tuple(
            Caption(id=i, image_id=image_id, caption=text)
            for i, (image_id, text) in enumerate(texts, start=1)
        ),
    )
    write_record(captions, folder / "captions_scenes.json")
