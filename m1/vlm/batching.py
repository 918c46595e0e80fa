"""Answering in batches: encoded requests are joined, the library generates, answers are separated.

Nothing here is timed. Latency is measured on single requests, which `m1.vlm.engine` answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from m1.vlm.engine import FinishReason, Generation, position_offset_kept, text_of
from m1.vlm.knobs.pooling import GRID, batch_of
from m1.vlm.model import LoadedVlm

Inputs = Mapping[str, Tensor]

# A batch may change logits by at most this share of their spread. Rounding changes a few percent.
DIFFERENT = 0.5


@dataclass(frozen=True)
class BatchedAnswer:
    """What the model wrote for one request of a batch."""

    tokens: tuple[int, ...]
    """All tokens up to the first end-of-sequence token, which is included."""
    finish_reason: FinishReason
    text: str


def answer_in_batches(
    vlm: LoadedVlm, encoded: Sequence[Inputs], max_new_tokens: int, batch_size: int
) -> list[BatchedAnswer]:
    """Answer requests greedily, many at once.

    Args:
        vlm: the model, its knobs already turned.
        encoded: requests from `m1.vlm.encoding.encode`, each with batch size 1, on any device.
        max_new_tokens: longest output.
        batch_size: the largest number of requests that are answered at once.

    Returns:
        An answer to each request, in the order given.

    Raises:
        NotFiniteError: if an answer comes from logits that are not finite.
    """
    answers: dict[int, BatchedAnswer] = {}
    for places in batches(encoded, batch_size):
        inputs = collate([encoded[i] for i in places], pad_token_id(vlm))
        answers.update(zip(places, _generate(vlm, inputs, max_new_tokens), strict=True))
    return [answers[i] for i in range(len(encoded))]


@torch.inference_mode()
def can_be_batched(vlm: LoadedVlm, encoded: Sequence[Inputs]) -> bool:
    """Whether requests get the same answers in a batch as alone.

    The logits of their first tokens are compared. Some models have inputs that cannot be joined
    without knowing their meaning, such as indices into the patches of an image. The effect of
    rounding is far below the limit.

    Args:
        vlm: the model.
        encoded: some requests, about different images.
    """
    for places in batches(encoded, len(encoded)):
        inputs = collate([encoded[i] for i in places], pad_token_id(vlm))
        for i, together in zip(places, _first_logits(vlm, inputs), strict=True):
            alone = _first_logits(vlm, encoded[i])[0]
            if float((together - alone).abs().max()) > DIFFERENT * float(alone.std()):
                return False
    return True


def _first_logits(vlm: LoadedVlm, inputs: Inputs) -> Tensor:
    """Logits of the first token [batch, vocabulary]."""
    with batch_of(vlm.structure, len(inputs["input_ids"])), only_greedy(vlm):
        model: Any = vlm.model
        on_device = {name: tensor.to(vlm.device) for name, tensor in inputs.items()}
        with position_offset_kept(vlm.model):
            output = model.generate(
                **on_device, max_new_tokens=1, output_logits=True, return_dict_in_generate=True
            )
    logits: Tensor = output.logits[0].float()
    return logits


def batches(encoded: Sequence[Inputs], batch_size: int) -> list[list[int]]:
    """Choose the requests of each batch: they can be joined, and have similar lengths.

    Returns:
        The places of the requests of each batch.
    """
    kinds = [_kind(one) for one in encoded]
    order = sorted(range(len(encoded)), key=lambda i: (kinds[i], _length(encoded[i])))
    alike = [list(places) for _, places in groupby(order, key=lambda i: kinds[i])]
    return [
        places[start : start + batch_size]
        for places in alike
        for start in range(0, len(places), batch_size)
    ]


def _kind(one: Inputs) -> str:
    """A key that is equal for requests that can be joined.

    If the model has a grid that separates the patches of images, images may have different numbers
    of patches. Otherwise everything that describes an image's layout must be equal: shapes, and
    the values of integers (sizes, tiles).
    """
    grid = any(GRID in name for name in one)
    return repr([(n, t.dtype, _layout(one, t, grid)) for n, t in sorted(one.items())])


def _layout(one: Inputs, tensor: Tensor, grid: bool) -> object:
    if _by_position(one, tensor):
        return "by position"
    if grid:
        return tuple(tensor.shape[1:])
    values = () if tensor.is_floating_point() else tensor.flatten().tolist()
    return tuple(tensor.shape), hash(tuple(values))


def _by_position(one: Inputs, tensor: Tensor) -> bool:
    """Whether a tensor has a value for each position of the prompt."""
    return tensor.shape == one["input_ids"].shape


def _length(one: Inputs) -> int:
    return one["input_ids"].shape[1]


def collate(requests: Sequence[Inputs], pad_id: int) -> dict[str, Tensor]:
    """Join requests of one kind into a batch.

    Prompts are padded on the left, so that all end where the output begins. Tensors without
    positions (pixels, grids of patches) are joined along their first dimension.

    Args:
        requests: each with batch size 1.
        pad_id: token for padding `input_ids`; other tensors are padded with 0.

    Returns:
        The inputs of one batch. They always include `attention_mask`, which is 0 for padding.
    """
    longest = max(map(_length, requests))
    whole = [{"attention_mask": torch.ones_like(one["input_ids"]), **one} for one in requests]
    padded = [_padded(one, longest, pad_id) for one in whole]
    return {name: torch.cat([one[name] for one in padded]) for name in padded[0]}


def _padded(one: Inputs, length: int, pad_id: int) -> dict[str, Tensor]:
    """A request that is padded on the left to a length."""
    missing = (length - _length(one), 0)
    return {
        name: pad(tensor, missing, value=pad_id if name == "input_ids" else 0)
        if _by_position(one, tensor)
        else tensor
        for name, tensor in one.items()
    }


def pad_token_id(vlm: LoadedVlm) -> int:
    """A token for padding: the model's own if it has one, and never the image placeholder."""
    tokenizer = getattr(vlm.processor, "tokenizer", None)
    config: Any = vlm.model.generation_config
    known = (config.pad_token_id, getattr(tokenizer, "pad_token_id", None), *vlm.eos_token_ids, 0)
    fit = (i for i in known if isinstance(i, int) and i != vlm.structure.image_token_id)
    return next(fit, 1)


@contextmanager
def only_greedy(vlm: LoadedVlm) -> Iterator[None]:
    """Make `generate` do what the timed engine does, and apply no other settings of the model."""
    own: Any = vlm.model.generation_config
    vlm.model.generation_config = GenerationConfig(
        do_sample=False,
        repetition_penalty=own.repetition_penalty,
        no_repeat_ngram_size=own.no_repeat_ngram_size,
        eos_token_id=sorted(vlm.eos_token_ids) or None,
        pad_token_id=pad_token_id(vlm),
    )
    try:
        yield
    finally:
        vlm.model.generation_config = own


@torch.inference_mode()
def _generate(
    vlm: LoadedVlm, inputs: Mapping[str, Tensor], max_new_tokens: int
) -> list[BatchedAnswer]:
    model: Any = vlm.model
    on_device = {name: tensor.to(vlm.device) for name, tensor in inputs.items()}
    with (
        batch_of(vlm.structure, len(inputs["input_ids"])),
        position_offset_kept(vlm.model),
        only_greedy(vlm),
    ):
        top = TopLogits()
        output = model.generate(
            **on_device, max_new_tokens=max_new_tokens, logits_processor=LogitsProcessorList([top])
        )
    written = output[:, inputs["input_ids"].shape[1] :].tolist()
    by_request = torch.stack(top.logits).T.cpu()[:, :, None, None]
    pairs = zip(written, by_request, strict=True)
    return [_batched_answer(vlm, tokens, tuple(logits)) for tokens, logits in pairs]


class TopLogits(LogitsProcessor):
    """Changes nothing, and keeps the largest logit of each request at each step."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.logits: list[Tensor] = []
        """The largest logits at each step [batch]."""

    def __call__(self, _: Tensor, scores: Tensor) -> Tensor:
        """Look at the scores [batch, vocabulary]."""
        self.logits.append(scores.amax(-1))
        return scores


def _batched_answer(
    vlm: LoadedVlm, written: list[int], top_logits: tuple[Tensor, ...]
) -> BatchedAnswer:
    tokens, reason = cut(written, vlm.eos_token_ids)
    # A request has no cache of its own in the batch's cache. If a request has ended and others of
    # its batch continue, its further logits do not matter.
    generation = Generation(tokens, reason, DynamicCache(), top_logits[: len(tokens)])
    generation.check_finite(vlm)
    return BatchedAnswer(tokens, reason, text_of(vlm, generation))


def cut(written: Sequence[int], ends: frozenset[int]) -> tuple[tuple[int, ...], FinishReason]:
    """An answer without the padding after its end."""
    end = next((i for i, token in enumerate(written) if token in ends), None)
    return (tuple(written), "length") if end is None else (tuple(written[: end + 1]), "stop")
