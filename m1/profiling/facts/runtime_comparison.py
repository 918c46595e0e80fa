"""Check that the compiled runtime computes the same as the eager one, token by token.

Rounding differs between kernels. After one different token, two outputs cannot be compared any
more. So both runtimes get the tokens that the eager one wrote, and each computes the logits of the
next token at every place. The effect of rounding depends on the model: if two experts are nearly
tied, rounding decides between them. So the eager runtime also reads the whole output at once. This
is the same computation with other kernels, and its change of the logits is the unit of comparison.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from m1.profiling.checks.check import at_most, not_measured
from m1.schemas.profile import Check, RuntimeAgreement
from m1.vlm.engine import NotFiniteError, position_offset_kept
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.eager import EagerRuntime

# A negligible difference, in standard deviations of the logits. In float32 all differences are
# smaller, and one of them may be many times another.
NEGLIGIBLE = 1e-3
# Unrelated logits differ by 1.4. Rounding cannot explain half of that.
TOO_FAR = 0.7


@dataclass(frozen=True)
class Compared:
    """Logits of one output, each [n_tokens, n_vocabulary]."""

    eager: Tensor
    """Logits of the eager runtime, token by token."""
    compiled: Tensor
    """Logits of the compiled runtime, given the eager runtime's tokens."""
    at_once: Tensor
    """Logits of the eager runtime, given all its tokens at once."""


def check_runtime(agreement: RuntimeAgreement | None, limit: float) -> Iterator[Check]:
    """Check that compiled and eager logits differ by little more than rounding explains.

    Args:
        agreement: of both runtimes; `None` if the run uses the eager runtime.
        limit: the largest allowed multiple of the difference that rounding explains.
    """
    if agreement is None:
        return
    if not agreement.n_tokens:
        reason = "agreement of compiled and eager runtime not measured: it failed at every setting"
        yield not_measured("runtime", limit, reason, passed=False)
    else:
        sentence = (
            f"compiled and eager runtime agree on {agreement.n_equal} of {agreement.n_tokens} "
            f"tokens, the eager one with itself, reading them at once, on "
            f"{agreement.n_equal_at_once}; difference of compiled and eager logits, in their "
            "standard deviations"
        )
        threshold = min(max(limit * agreement.difference_at_once, NEGLIGIBLE), TOO_FAR)
        yield at_most("runtime", agreement.difference, threshold, sentence, ".3g")


def worst_of(agreements: Sequence[RuntimeAgreement]) -> RuntimeAgreement | None:
    """The agreement of the process in which the runtimes differ most; `None` without any."""
    return max(agreements, key=lambda agreement: agreement.difference, default=None)


def compare_runtimes(vlm: LoadedVlm, inputs: dict[str, Tensor], n_tokens: int) -> Compared:
    """Logits of both runtimes on the tokens of the eager one.

    Args:
        vlm: the model in the compiled runtime, its knobs already turned.
        inputs: of a request.
        n_tokens: length of the output.

    Raises:
        NotFiniteError: if the largest logit at a place is not finite.
    """
    eager = replace(vlm, runtime=EagerRuntime(vlm.model))
    logits, tokens = written_logits(eager, inputs, n_tokens)
    compiled, _ = written_logits(vlm, inputs, n_tokens, tokens)
    at_once = logits_at_once(eager, inputs, tokens)
    largest = torch.cat([scores.amax(-1) for scores in (logits, compiled, at_once)])
    if not torch.isfinite(largest).all():
        raise NotFiniteError("logits are", vlm)
    return Compared(logits, compiled, at_once)


@torch.inference_mode()
def written_logits(
    vlm: LoadedVlm, inputs: dict[str, Tensor], n_tokens: int, given: Sequence[Tensor] = ()
) -> tuple[Tensor, list[Tensor]]:
    """Logits at every place of an output (tokens x vocabulary), and the tokens (1 x 1) it took.

    Args:
        vlm: the model.
        inputs: of one request.
        n_tokens: length of the output.
        given: the tokens of the output; without them, the most likely ones.
    """
    vlm.runtime.make_room(inputs["input_ids"].shape[1] + n_tokens)
    tokens: list[Tensor] = []
    with position_offset_kept(vlm.model):
        logits, cache = vlm.runtime.prefill(inputs)
        step_logits = [logits.float().clone()]
        while len(step_logits) < n_tokens:
            chosen = given[len(tokens)] if given else step_logits[-1].argmax(-1, keepdim=True)
            tokens.append(chosen)
            step_logits.append(vlm.runtime.decode_one_token(chosen, cache).float().clone())
    return torch.cat(step_logits), tokens


@torch.inference_mode()
def logits_at_once(vlm: LoadedVlm, inputs: dict[str, Tensor], tokens: Sequence[Tensor]) -> Tensor:
    """Logits at every place of an output (tokens x vocabulary), with all tokens read at once.

    Args:
        vlm: the model in the eager runtime.
        inputs: of one request.
        tokens: all tokens of the output except its last, each 1 x 1.
    """
    model: Any = vlm.model
    with position_offset_kept(vlm.model):
        logits, cache = vlm.runtime.prefill(inputs)
        first = logits.float().clone()
        output = model(input_ids=torch.cat(list(tokens), 1), past_key_values=cache, use_cache=True)
    return torch.cat([first, output.logits[0].float()])


def agreement_of(compared: Sequence[Compared]) -> RuntimeAgreement:
    """Summarise the comparisons."""
    n_tokens = sum(len(answers.eager) for answers in compared)
    return RuntimeAgreement(
        n_outputs=len(compared),
        n_tokens=n_tokens,
        n_equal=sum(_n_equal(answers.eager, answers.compiled) for answers in compared),
        n_equal_at_once=sum(_n_equal(answers.eager, answers.at_once) for answers in compared),
        largest_gap=max(
            (_largest_gap(answers.eager, answers.compiled) for answers in compared), default=0.0
        ),
        difference=_difference([(answers.eager, answers.compiled) for answers in compared]),
        difference_at_once=_difference([(answers.eager, answers.at_once) for answers in compared]),
    )


def _n_equal(eager: Tensor, other: Tensor) -> int:
    """The number of places at which both have the same most likely token."""
    return int((eager.argmax(-1) == other.argmax(-1)).sum())


def _largest_gap(eager: Tensor, other: Tensor) -> float:
    """The largest preference of the eager logits for their own tokens, in standard deviations."""
    chosen = other.argmax(-1, keepdim=True)
    gaps = eager.max(-1).values - eager.gather(1, chosen)[:, 0]
    return float((gaps / eager.std(-1)).max())


def _difference(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Root mean square of the differences over all places, in standard deviations of the logits."""
    if not pairs:
        return 0.0
    scaled = [(eager - other) / eager.std(-1, keepdim=True) for eager, other in pairs]
    return float(torch.cat(scaled).square().mean().sqrt())
