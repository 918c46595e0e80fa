"""Training batches of SceneVLM: images with a caption, and images with several questions.

Each step draws its scenes from its own seed, so a resumed run gets the same batches as a run
without a break.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlavaProcessor, PreTrainedTokenizerFast

from m1.scene_vlm.architecture import ASSISTANT, BOS, EOS, IMAGE, USER
from m1.schemas.base import Record
from m1.schemas.settings import Setting
from m1.workloads.scene_language import CAPTION_PROMPT, ask, captions
from m1.workloads.scenes import Scene, Split, draw_scene, render

N_TOKENIZER_SCENES = 2000


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Steps = Annotated[int, Field(ge=0, le=100_000_000)]
KnobValues = Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(max_length=64)]


class Curriculum(Record):
    """What the model sees at each step."""

    captions_only_steps: Steps
    """Number of first steps that have only captions. They teach the vision tower to see."""
    question_share: Share
    """Share of images with questions after these steps. The other images have a caption."""
    n_turns: Annotated[int, Field(ge=1, le=1000)]
    """Question-answer turns packed into one sequence."""
    answer_weight: Annotated[float, Field(ge=0.0, le=1000.0)]
    """Weight of an answer token in the loss; a caption token weighs 1."""
    elastic_from_step: Steps
    """First step at which some batches run at a reduced setting."""
    elastic_share: Share
    """Share of such batches from that step on. The others run at the native setting."""
    vision_tokens: KnobValues
    """Numbers of visual tokens; one of them is drawn for each such batch."""
    top_k: KnobValues
    """Numbers of experts per token; one of them is drawn for each such batch."""
    active_blocks: KnobValues
    """Numbers of active blocks; one of them is drawn for each such batch."""


@dataclass(frozen=True)
class Batch:
    """One training step: batch x position tensors, padded on the right."""

    input_ids: Tensor
    attention_mask: Tensor
    weights: Tensor
    """Weight of each token as a target, 0 for prompts and padding."""
    is_answer: Tensor
    """For each sequence: true for questions, false for a caption."""
    pixel_values: Tensor
    setting: Setting


def tokenizer_texts(seed: int) -> list[str]:
    """Captions, questions and answers that cover the vocabulary of the scenes."""
    rng = np.random.default_rng(seed)
    texts = [CAPTION_PROMPT]
    for _ in range(N_TOKENIZER_SCENES):
        scene = draw_scene(rng, "train")
        questions = [ask(scene, rng) for _ in range(5)]
        texts += [*captions(scene), *(text for q in questions for text in (q.text, q.answer))]
    return texts


def _draw_setting(
    step: int, plan: Curriculum, native: Setting, rng: np.random.Generator
) -> Setting:
    """The setting of one step: native or, from `elastic_from_step` on, random in some steps."""
    if step < plan.elastic_from_step or rng.random() >= plan.elastic_share:
        return native
    return Setting(
        vision_tokens=int(rng.choice(plan.vision_tokens)),
        top_k=int(rng.choice(plan.top_k)),
        active_blocks=int(rng.choice(plan.active_blocks)),
    )


class SceneBatches(Dataset[Batch]):
    """The batch of each step. Its random draws depend only on the seed and the step."""

    def __init__(
        self,
        processor: LlavaProcessor,
        plan: Curriculum,
        native: Setting,
        *,
        batch_size: int,
        seed: int,
        split: Split = "train",
    ) -> None:
        """Keep what a worker needs to draw batches."""
        self.processor = processor
        self.tokenizer: PreTrainedTokenizerFast = processor.tokenizer
        self.plan = plan
        self.native = native
        self.batch_size = batch_size
        self.seed = seed
        self.split = split

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of a step."""
        rng = np.random.default_rng((self.seed, step))
        setting = _draw_setting(step, self.plan, self.native, rng)
        n_questions = 0
        if step >= self.plan.captions_only_steps:
            n_questions = round(self.batch_size * self.plan.question_share)
        scenes = [draw_scene(rng, self.split) for _ in range(self.batch_size)]
        asks = [i < n_questions for i in range(self.batch_size)]
        sequences = [self._sequence(s, a, rng) for s, a in zip(scenes, asks, strict=True)]
        return self._collate(sequences, scenes, asks, setting, rng)

    def _sequence(
        self, scene: Scene, asks: bool, rng: np.random.Generator
    ) -> list[tuple[str, float]]:
        """Pieces of text, each with its weight in the loss."""
        if not asks:
            return [(CAPTION_PROMPT, 0.0), (captions(scene)[0], 1.0)]
        questions = [ask(scene, rng) for _ in range(self.plan.n_turns)]
        weight = self.plan.answer_weight
        return [piece for q in questions for piece in ((q.text, 0.0), (q.answer, weight))]

    def _collate(
        self,
        sequences: Sequence[list[tuple[str, float]]],
        scenes: Sequence[Scene],
        asks: list[bool],
        setting: Setting,
        rng: np.random.Generator,
    ) -> Batch:
        n_visual = setting.vision_tokens or 1
        encoded = [self._encode(pieces, n_visual) for pieces in sequences]
        longest = max(len(ids) for ids, _ in encoded)
        pad = self.tokenizer.pad_token_id
        ids = [ids + [pad] * (longest - len(ids)) for ids, _ in encoded]
        weights = [w + [0.0] * (longest - len(w)) for _, w in encoded]
        input_ids = torch.tensor(ids)
        images = [render(scene, rng) for scene in scenes]
        pixels = self.processor.image_processor(images, return_tensors="pt")["pixel_values"]
        return Batch(
            input_ids=input_ids,
            attention_mask=(input_ids != pad).long(),
            weights=torch.tensor(weights),
            is_answer=torch.tensor(asks),
            pixel_values=pixels,
            setting=setting,
        )

    def _encode(
        self, pieces: list[tuple[str, float]], n_visual: int
    ) -> tuple[list[int], list[float]]:
        """Token ids of a conversation, and the weight of each token in the loss."""
        ids: list[int] = []
        weights: list[float] = []
        for index, (text, weight) in enumerate(pieces):
            opening = f"{BOS}{USER}{IMAGE * n_visual}" if index == 0 else USER
            whole = f"{text}{EOS}" if weight else f"{opening}{text}{ASSISTANT}"
            piece = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
            ids += piece
            weights += [weight] * len(piece)
        return ids, weights
