"""Whether the compiled runtime writes what the eager one does, token by token.

Rounding differs between kernels, and after one differing token two outputs have nothing to do with
each other. So both runtimes are given the tokens that the eager one wrote, and each says at every
place which would come next: where they differ, the eager logits tell whether it was a tie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from m1.profiling.checking import at_most, not_measured
from m1.schemas.profile import Check, RuntimeAgreement
from m1.vlm.engine import position_offset_kept
from m1.vlm.loaded import LoadedVlm
from m1.vlm.runtime import EagerRuntime


def check_runtime(agreement: RuntimeAgreement | None, limit: float) -> Iterator[Check]:
    """Both runtimes write the same tokens but where the eager one was next to undecided.

    Args:
        agreement: of both; none in the eager runtime, which there is nothing to compare with.
        limit: largest preference for another token, in standard deviations of the logits.
    """
    if agreement is None:
        return
    if not agreement.n_tokens:
        reason = "agreement of compiled and eager runtime not measured: it failed at every setting"
        yield not_measured("runtime", limit, reason, passed=False)
    else:
        sentence = (
            f"compiled and eager runtime agree on {agreement.n_equal} of {agreement.n_tokens} "
            "tokens; largest eager preference for another, in standard deviations of the logits"
        )
        yield at_most("runtime", agreement.largest_gap, limit, sentence, ".3f")


def compare_runtimes(
    vlm: LoadedVlm, inputs: dict[str, Tensor], n_tokens: int
) -> tuple[Tensor, Tensor]:
    """Logits of both runtimes on the tokens of the eager one.

    Args:
        vlm: the model in the compiled runtime, its knobs already turned.
        inputs: of a request.
        n_tokens: length of the output.

    Returns:
        Eager and compiled logits, each tokens x vocabulary.
    """
    eager = replace(vlm, runtime=EagerRuntime(vlm.model))
    logits, tokens = written_logits(eager, inputs, n_tokens)
    return logits, written_logits(vlm, inputs, n_tokens, tokens)[0]


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
        seen = [logits.float().clone()]
        while len(seen) < n_tokens:
            chosen = given[len(tokens)] if given else seen[-1].argmax(-1, keepdim=True)
            tokens.append(chosen)
            seen.append(vlm.runtime.decode_one_token(chosen, cache).float().clone())
    return torch.cat(seen), tokens


def agreement_of(compared: Sequence[tuple[Tensor, Tensor]]) -> RuntimeAgreement:
    """Sum up what was compared.

    Args:
        compared: eager and compiled logits of each output (tokens x vocabulary).
    """
    n_tokens = n_equal = 0
    gap = difference = 0.0
    for eager, compiled in compared:
        spread = eager.std(-1)
        chosen = compiled.argmax(-1, keepdim=True)
        gaps = (eager.max(-1).values - eager.gather(1, chosen)[:, 0]) / spread
        n_tokens += len(eager)
        n_equal += int((eager.argmax(-1, keepdim=True) == chosen).sum())
        gap = max(gap, float(gaps.max()))
        furthest = (eager - compiled).abs().max(-1).values / spread
        difference = max(difference, float(furthest.max()))
    return RuntimeAgreement(
        n_outputs=len(compared),
        n_tokens=n_tokens,
        n_equal=n_equal,
        largest_gap=gap,
        largest_difference=difference,
    )
