"""The greedy engine: prefill, then decode one token after another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import (
    Cache,
    GenerationConfig,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
)

from m1.vlm.model import LoadedVlm
from m1.vlm.structure import inner_model

FinishReason = Literal["stop", "length"]


class NotFiniteError(Exception):
    """The model's numbers overflowed or are not numbers, so its output means nothing."""

    def __init__(self, what: str, vlm: LoadedVlm) -> None:
        """Say what is not finite, and in which arithmetic."""
        dtype = str(vlm.model.dtype).removeprefix("torch.")
        self.advice = "check the model's weights"
        if dtype == "float16":  # its largest number is 65,504
            self.advice = "set model.dtype to bfloat16 or float32, or check the model's weights"
        super().__init__(f"{what} not finite in {dtype}")


@dataclass(frozen=True)
class Generation:
    """The model's output for one request, and its cache."""

    tokens: tuple[int, ...]
    finish_reason: FinishReason
    cache: Cache
    top_logits: tuple[Tensor, ...] = ()
    """The logit of each token (1 x 1), on the device; empty if they were not kept."""

    def check_finite(self, vlm: LoadedVlm) -> None:
        """Check that each token was picked by a finite logit. This waits for the device.

        Masks set logits to minus infinity, but never the largest logit. If a logit is not a number
        or is plus infinity, it is the largest. Minus infinity is the largest if all logits are.

        Raises:
            NotFiniteError: if a token was not; the message names the first one.
        """
        if not self.top_logits:
            return
        finite = torch.isfinite(torch.cat(self.top_logits))[:, 0].tolist()
        if not all(finite):
            raise NotFiniteError(f"the logits of output token {finite.index(False) + 1} are", vlm)


def _logits_processors(config: GenerationConfig) -> LogitsProcessorList:
    """The changes of logits that a model's generation config asks for in greedy decoding."""
    processors = LogitsProcessorList()
    if config.repetition_penalty not in (None, 1.0):
        processors.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    if config.no_repeat_ngram_size:
        processors.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    return processors


@torch.inference_mode()
def answer(
    vlm: LoadedVlm,
    inputs: dict[str, Tensor],
    max_new_tokens: int,
    on_first_token: Callable[[], None] = lambda: None,
    *,
    stops_at_end: bool = True,
) -> Generation:
    """Answer one request greedily, up to an end-of-sequence token or the length limit.

    Args:
        vlm: the model, its knobs already turned.
        inputs: from `encode`.
        max_new_tokens: longest output.
        on_first_token: called once the first token is known.
        stops_at_end: whether an end-of-sequence token ends the answer; if not, the output has
            `max_new_tokens` tokens whatever they are.
    """
    pick = Picker(_logits_processors(vlm.model.generation_config), inputs["input_ids"])
    ends = vlm.eos_token_ids if stops_at_end else frozenset[int]()
    vlm.runtime.make_room(inputs["input_ids"].shape[1] + max_new_tokens)
    with position_offset_kept(vlm.model):
        logits, cache = vlm.runtime.prefill(inputs)
        token = pick(logits)
        ended = bool(ends) and int(token) in ends
        on_first_token()
        while not ended and len(pick.tokens) < max_new_tokens:
            token = pick(vlm.runtime.decode_one_token(token, cache))
            # Reading the token makes the host wait for the device, so it is read only if needed.
            ended = bool(ends) and int(token) in ends
    reason: FinishReason = "stop" if ended else "length"
    return Generation(pick.written(), reason, cache, tuple(pick.top_logits))


class Picker:
    """Picks the most likely token each time, and keeps the picked tokens."""

    def __init__(self, processors: LogitsProcessorList, prompt: Tensor) -> None:
        """Start after a prompt (1 x position)."""
        self.processors, self.prompt = processors, prompt
        self.tokens: list[Tensor] = []
        self.top_logits: list[Tensor] = []

    def __call__(self, logits: Tensor) -> Tensor:
        """The next token (1 x 1) from logits (1 x vocabulary)."""
        if self.processors:
            so_far = torch.cat([self.prompt, *self.tokens], dim=1)
            logits = self.processors(so_far, logits.float())  # type: ignore[arg-type]
        # One kernel gives both. Reading the logit here would make the host wait for the device.
        top_logit, token = logits.max(-1, keepdim=True)
        self.top_logits.append(top_logit)
        self.tokens.append(token)
        return token

    def written(self) -> tuple[int, ...]:
        """All tokens picked."""
        return tuple(torch.cat(self.tokens, dim=1)[0].tolist())


@contextmanager
def position_offset_kept(model: PreTrainedModel) -> Iterator[None]:
    """After the block, restore what models with multi-dimensional positions store of a prompt."""
    owner: Any = inner_model(model)
    noted = vars(owner).get("rope_deltas")
    try:
        yield
    finally:
        if "rope_deltas" in vars(owner):
            owner.rope_deltas = noted


def text_of(vlm: LoadedVlm, generation: Generation) -> str:
    """The written text, without special tokens except those that mark reasoning or the answer."""
    parts = []
    for mark, tokens in groupby(generation.tokens, vlm.kept_tokens.get):
        written = list(tokens)
        parts.append(
            mark * len(written) if mark else vlm.processor.decode(written, skip_special_tokens=True)
        )
    return "".join(parts).strip()


def token_ids(vlm: LoadedVlm, text: str) -> list[int]:
    """The tokens of a text by itself, without special tokens."""
    ids: list[int] = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
