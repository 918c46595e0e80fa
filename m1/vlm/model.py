"""A model ready for inference."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from m1.schemas.markup import Markup
from m1.schemas.settings import EndTokens, Weights
from m1.vlm.end_tokens import find_end_tokens
from m1.vlm.loading.fingerprint import model_fingerprint
from m1.vlm.markup import find_markup
from m1.vlm.prompts import Prompts
from m1.vlm.runtime.eager import Runtime
from m1.vlm.structure import VlmStructure

Size = tuple[int, int]


@dataclass(frozen=True)
class VisualPlan:
    """How an image gets its number of visual tokens."""

    size: Size
    """Width and height in pixels at which the processor gets the image."""
    n_tokens: int
    """Visual tokens that the language model will see."""


@dataclass(frozen=True)
class LoadedVlm:
    """A model on its device, with its processor and the places of its stages and knobs."""

    model: PreTrainedModel
    """The model, in evaluation mode."""
    processor: Any
    """A processor of transformers, or a stand-in for it."""
    structure: VlmStructure
    """The modules of stages and knobs."""
    device: torch.device
    """The device of the weights."""
    runtime: Runtime
    """Runs the forward passes."""
    processor_fingerprint: str
    """SHA-256 of the processor, as it was loaded."""
    weights: Weights = "pretrained"
    """Whether the weights are pretrained or random. Random ones show nothing about quality."""
    revision: str | None = None
    """Commit on the hub from which everything was loaded; `None` for a folder."""
    visual_plans: dict[tuple[Size, int | None], VisualPlan] = field(
        default_factory=dict, repr=False
    )
    """The plans so far, by an image's size and a number of visual tokens."""
    reckoned: dict[int, int] = field(default_factory=dict, repr=False)
    """Visual tokens of images, by the result of the processor's own arithmetic."""

    @cached_property
    def prompts(self) -> Prompts:
        """Writes prompts for the model."""
        most = _most_positions(self.structure.language_model.config)
        return Prompts(self.processor, self.structure.image_token_id, most)

    @cached_property
    def markup(self) -> Markup:
        """How its outputs mark reasoning or the answer."""
        return find_markup(self.prompts)

    @cached_property
    def kept_tokens(self) -> dict[int, str]:
        """Special tokens that stay in an output's text, since they are or contain such a mark."""
        marks = "\n".join(f"{m.opening}\n{m.closing}" for m in self.markup.all)
        added = self.prompts.added_tokens.items()
        kept = [token for token, special in added if special and len(token) > 2 and token in marks]
        return {self.prompts.tokenizer.convert_tokens_to_ids(token): token for token in kept}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that was loaded. The values of random weights do not count."""
        return model_fingerprint(self.model, self.weights, self.processor_fingerprint)

    @property
    def end_tokens(self) -> EndTokens:
        """Tokens that end an answer, and their source."""
        return find_end_tokens(self.model, self.processor)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self.end_tokens.ids)


def _most_positions(language: Any) -> int | None:  # noqa: ANN401 (a configuration)
    """The largest number of positions of a language model; `None` if it can be scaled to more."""
    rope = getattr(language, "rope_parameters", None)
    most = getattr(language, "max_position_embeddings", None)
    return most if isinstance(most, int) and "'factor'" not in str(rope) else None
