"""A model ready for inference."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from m1.schemas.settings import EndTokens, Weights
from m1.vlm.end_tokens import find_end_tokens
from m1.vlm.runtime import Runtime
from m1.vlm.structure import VlmStructure

Size = tuple[int, int]


@dataclass(frozen=True)
class VisualPlan:
    """How an image comes to its number of visual tokens."""

    size: Size
    """Width and height in pixels at which the processor gets the image."""
    n_tokens: int
    """Visual tokens that the language model will see."""


@dataclass(frozen=True)
class LoadedVlm:
    """A model on its device, its processor, and where its stages and knobs are."""

    model: PreTrainedModel
    """The model, in evaluation mode."""
    processor: Any
    """A processor of transformers, or what stands in for it."""
    structure: VlmStructure
    """Where stages and knobs are."""
    device: torch.device
    """Where the weights are."""
    runtime: Runtime
    """How its forward passes are run."""
    weights: Weights = "pretrained"
    """Whether the weights were learnt; random ones say nothing about quality."""
    visual_plans: dict[tuple[Size, int | None], VisualPlan] = field(
        default_factory=dict, repr=False
    )
    """Plans made so far for an image's size and a number of visual tokens."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the configuration and, unless they are random, every weight."""
        return fingerprint(self.model, self.weights)

    @property
    def end_tokens(self) -> EndTokens:
        """Tokens that end an answer, and who says so."""
        return find_end_tokens(self.model, self.processor)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self.end_tokens.ids)


def fingerprint(model: PreTrainedModel, weights: Weights) -> str:
    """SHA-256 over a model's configuration and, unless they are random, every weight."""
    digest = hashlib.sha256(model.config.to_json_string().encode())
    digest.update(weights.encode())
    for name, tensor in _tensors(model) if weights == "pretrained" else ():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(model: PreTrainedModel) -> Iterable[tuple[str, torch.Tensor]]:
    return ((name, tensor.reshape(-1)) for name, tensor in sorted(model.state_dict().items()))
