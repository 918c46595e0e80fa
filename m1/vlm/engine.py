"""The greedy engine: prefill, then decode one token after another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from m1.vlm.loaded import LoadedVlm
from m1.vlm.stand_in import StandInProcessor

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Generation:
    """What the model wrote for one request, and the cache it left."""

    tokens: tuple[int, ...]
    finish_reason: FinishReason
    cache: Cache


def prefill(model: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
    """Run the whole prompt.

    Returns:
        The first token (1 x 1) and the key-value cache of the prompt.
    """
    output: Any = model(**inputs, use_cache=True, logits_to_keep=1)
    return greedy(output.logits), output.past_key_values


def decode_one_token(model: PreTrainedModel, token: Tensor, cache: Cache) -> Tensor:
    """Run one token against the cache, which grows by it; returns the next token (1 x 1)."""
    output: Any = model(input_ids=token, past_key_values=cache, use_cache=True)
    return greedy(output.logits)


def greedy(logits: Tensor) -> Tensor:
    """The most likely next token (1 x 1) by logits of 1 x position x vocabulary."""
    return logits[:, -1:].argmax(-1)


@torch.inference_mode()
def answer(
    vlm: LoadedVlm,
    inputs: dict[str, Tensor],
    max_new_tokens: int,
    on_first_token: Callable[[], None] = lambda: None,
    *,
    stops_at_end: bool = True,
) -> Generation:
    """Answer one request greedily, up to an end-of-sequence token or the longest output.

    Args:
        vlm: the model, its knobs already turned.
        inputs: from `encode`.
        max_new_tokens: longest output.
        on_first_token: called once the first token is known.
        stops_at_end: whether an end-of-sequence token ends the answer; if not, the output has
            `max_new_tokens` tokens whatever they are.
    """
    ends = vlm.eos_token_ids if stops_at_end else frozenset()
    with position_offset_kept(vlm.model):
        token, cache = prefill(vlm.model, inputs)
        tokens = [int(token)]
        on_first_token()
        while tokens[-1] not in ends and len(tokens) < max_new_tokens:
            token = decode_one_token(vlm.model, token, cache)
            tokens.append(int(token))
    return Generation(tuple(tokens), "stop" if tokens[-1] in ends else "length", cache)


@contextmanager
def position_offset_kept(model: PreTrainedModel) -> Iterator[None]:
    """Take back what models with positions in several dimensions note about the last prompt."""
    owner: Any = getattr(model, "model", model)
    noted = vars(owner).get("rope_deltas")
    try:
        yield
    finally:
        if "rope_deltas" in vars(owner):
            owner.rope_deltas = noted


def text_of(vlm: LoadedVlm, generation: Generation) -> str:
    """The written text without special tokens."""
    text: str = vlm.processor.decode(list(generation.tokens), skip_special_tokens=True)
    return text.strip()


def token_ids(vlm: LoadedVlm, text: str) -> list[int]:
    """The tokens of a text by itself, without special tokens."""
    if isinstance(vlm.processor, StandInProcessor):
        return vlm.processor.token_ids(text)
    ids: list[int] = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
