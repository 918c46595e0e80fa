"""Quality of SceneVLM on held-out scenes, at each of several settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from m1.plain_text import say
from m1.quality.captions import CaptionCorpus
from m1.schemas.base import Record
from m1.schemas.settings import Setting
from m1.vlm.at_setting import AtSetting
from m1.vlm.batching import answer_in_batches
from m1.vlm.model import LoadedVlm
from m1.workloads.scene_language import (
    CAPTION_PROMPT,
    Question,
    ask,
    captions,
    objects_described,
)
from m1.workloads.scenes import Scene, draw_scene, render

BATCH_SIZE = 100
MAX_NEW_TOKENS = {"qa": 10, "captioning": 80}


class SettingQuality(Record):
    """Quality at one setting."""

    qa_accuracy: float
    """Share of questions whose answer is exactly the right one."""
    objects_described: float
    """Share of objects that a caption describes with the right colour, shape and place."""
    cider_d: float
    """Mean CIDEr-D of the captions, each against the five references of its scene. Document
    frequencies come from all evaluation scenes."""
    cider_d_of_other_scenes: float
    """Mean CIDEr-D of the same captions, each against the references of another scene."""


class SceneVlmEvaluation(Record):
    """Quality at each setting. The key is the setting's label (visual tokens / top_k / blocks)."""

    n_scenes: int
    """Held-out scenes, with one question and one caption each."""
    qa_accuracy_by_kind: dict[str, float]
    """Accuracy at the native setting by kind of question."""
    settings: dict[str, SettingQuality]
    """The native setting is the first."""


@dataclass(frozen=True)
class HeldOut:
    """Scenes that training never saw, each with its image and one question."""

    scenes: tuple[Scene, ...]
    images: tuple[Image.Image, ...]
    questions: tuple[Question, ...]

    @classmethod
    def draw(cls, n: int, seed: int) -> "HeldOut":
        """Draw n evaluation scenes with one question each."""
        rng = np.random.default_rng(seed)
        scenes = tuple(draw_scene(rng, "evaluation") for _ in range(n))
        images = tuple(render(scene, rng) for scene in scenes)
        return cls(scenes, images, tuple(ask(scene, rng) for scene in scenes))


def evaluate(vlm: LoadedVlm, settings: Sequence[Setting], held_out: HeldOut) -> SceneVlmEvaluation:
    """Answer every question and caption every scene at each setting, in batches."""
    qualities: dict[str, SettingQuality] = {}
    by_kind: dict[str, float] = {}
    for setting in settings:
        at = AtSetting(vlm, setting)
        questions = [question.text for question in held_out.questions]
        answers = written_for(at, held_out, questions, "qa")
        prompts = [CAPTION_PROMPT] * len(held_out.scenes)
        written = written_for(at, held_out, prompts, "captioning")
        qualities[setting.label] = quality(held_out, answers, written)
        by_kind = by_kind or accuracy_by_kind(held_out.questions, answers)
        say(f"{setting.label}: {qualities[setting.label]}")
    return SceneVlmEvaluation(
        n_scenes=len(held_out.scenes), qa_accuracy_by_kind=by_kind, settings=qualities
    )


def written_for(
    at: AtSetting, held_out: HeldOut, prompts: Sequence[str], workload: str
) -> list[str]:
    """Greedy outputs for one prompt about each scene. The caller has already applied the knobs."""
    pairs = zip(held_out.images, prompts, strict=True)
    encoded = [at.encode(image, prompt) for image, prompt in pairs]
    with at.turned():
        answers = answer_in_batches(at.vlm, encoded, MAX_NEW_TOKENS[workload], BATCH_SIZE)
    return [answer.text for answer in answers]


def quality(held_out: HeldOut, answers: Sequence[str], written: Sequence[str]) -> SettingQuality:
    """Score one setting's answers and captions."""
    scenes = held_out.scenes
    ids = [str(i) for i in range(len(scenes))]
    corpus = CaptionCorpus.from_references(dict(zip(ids, map(captions, scenes), strict=True)))
    others = [*ids[1:], ids[0]]
    right = [q.answer == a for q, a in zip(held_out.questions, answers, strict=True)]
    described = sum(objects_described(w, s) for w, s in zip(written, scenes, strict=True))
    return SettingQuality(
        qa_accuracy=float(np.mean(right)),
        objects_described=described / sum(len(scene.objects) for scene in scenes),
        cider_d=_mean_cider(corpus, ids, written),
        cider_d_of_other_scenes=_mean_cider(corpus, others, written),
    )


def _mean_cider(corpus: CaptionCorpus, ids: Sequence[str], written: Sequence[str]) -> float:
    return float(np.mean([corpus.cider_d(i, w) for i, w in zip(ids, written, strict=True)]))


def accuracy_by_kind(questions: Sequence[Question], answers: Sequence[str]) -> dict[str, float]:
    """Share of right answers for each kind of question."""
    right: dict[str, list[bool]] = {}
    for question, answer in zip(questions, answers, strict=True):
        right.setdefault(question.kind, []).append(question.answer == answer)
    return {kind: float(np.mean(marks)) for kind, marks in sorted(right.items())}
