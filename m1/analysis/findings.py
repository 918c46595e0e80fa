"""The expected differences of the workloads, each tested by the interval of one effect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from m1.analysis.bootstrap import Draws, estimate, is_defined
from m1.analysis.evidence import Evidence
from m1.schemas.profile import STAGES
from m1.schemas.results import Finding, NotTested, Verdict
from m1.schemas.settings import Knob

DECODE = STAGES.index("decode")


Effect = Callable[[Evidence, Evidence], Draws | None]
"""From question answering and captioning to an effect [n_draws]; none without what it needs."""


@dataclass(frozen=True)
class Expectation:
    """A claim and the effect that decides it."""

    id: str
    claim: str
    measure: str
    needs: str
    """What the effect cannot be computed without."""
    effect: Effect
    of_quality: bool = False
    """Whether it takes answers whose quality means something."""


def _before_first_token_margin(evidence: Evidence) -> Draws:
    """Share before the first token minus share of decode, in percentage points."""
    return np.asarray(100 * (1 - 2 * evidence.stage_share[:, DECODE]))


def _saved(knob: Knob, evidence: Evidence) -> Draws | None:
    """Share of latency saved from the largest to the smallest value of a knob, in percent."""
    moves = evidence.moves[knob]
    return -moves[-1].latency_percent if moves else None


def _minus(first: Draws | None, second: Draws | None) -> Draws | None:
    return None if first is None or second is None else first - second


def _more_sensitive(knob: Knob, *, qa: bool) -> Effect:
    def effect(in_qa: Evidence, in_captioning: Evidence) -> Draws | None:
        more, less = (in_qa, in_captioning) if qa else (in_captioning, in_qa)
        return _minus(_saved(knob, more), _saved(knob, less))

    return effect


def _prefers_fewer(knob: Knob, *, qa: bool) -> Effect:
    def effect(in_qa: Evidence, in_captioning: Evidence) -> Draws | None:
        fewer, more = (in_qa, in_captioning) if qa else (in_captioning, in_qa)
        if fewer.quality is None or more.quality is None:
            return None
        return _minus(more.quality.best_fraction.get(knob), fewer.quality.best_fraction.get(knob))

    return effect


def _steeper(in_qa: Evidence, in_captioning: Evidence) -> Draws | None:
    if in_qa.quality is None or in_captioning.quality is None:
        return None
    return in_qa.quality.steepness - in_captioning.quality.steepness


_SAVED = "latency saved from the largest to the smallest value, {}, percentage points"
_BEST = "fraction of the reference value at the best setting, {}"
_VALUES = "more than one value of {}"

EXPECTATIONS = (
    Expectation(
        "qa-prefill-heavy",
        "Question answering spends more time before the first token than in decode.",
        "share of vision, projector and prefill minus share of decode, percentage points",
        "a measured request",
        lambda qa, captioning: _before_first_token_margin(qa),
    ),
    Expectation(
        "captioning-decode-heavy",
        "Captioning spends more time in decode than before the first token.",
        "share of decode minus share of vision, projector and prefill, percentage points",
        "a measured request",
        lambda qa, captioning: -_before_first_token_margin(captioning),
    ),
    Expectation(
        "qa-more-sensitive-to-vision-tokens",
        "Fewer visual tokens save a larger share of latency in question answering.",
        _SAVED.format("question answering minus captioning"),
        _VALUES.format("vision_tokens"),
        _more_sensitive("vision_tokens", qa=True),
    ),
    Expectation(
        "captioning-more-sensitive-to-active-blocks",
        "Fewer active blocks save a larger share of latency in captioning.",
        _SAVED.format("captioning minus question answering"),
        _VALUES.format("active_blocks"),
        _more_sensitive("active_blocks", qa=False),
    ),
    Expectation(
        "captioning-more-sensitive-to-top-k",
        "Fewer experts per token save a larger share of latency in captioning.",
        _SAVED.format("captioning minus question answering"),
        _VALUES.format("top_k"),
        _more_sensitive("top_k", qa=False),
    ),
    Expectation(
        "qa-prefers-fewer-vision-tokens",
        "The best setting has fewer visual tokens in question answering than in captioning.",
        _BEST.format("captioning minus question answering"),
        _VALUES.format("vision_tokens"),
        _prefers_fewer("vision_tokens", qa=True),
        of_quality=True,
    ),
    Expectation(
        "captioning-prefers-fewer-blocks",
        "The best setting has fewer active blocks in captioning than in question answering.",
        _BEST.format("question answering minus captioning"),
        _VALUES.format("active_blocks"),
        _prefers_fewer("active_blocks", qa=False),
        of_quality=True,
    ),
    Expectation(
        "qa-frontier-steeper",
        "Saving latency costs question answering more of its quality than it costs captioning.",
        "share of quality lost per share of latency saved, question answering minus captioning",
        "more than one sure point on both frontiers",
        _steeper,
        of_quality=True,
    ),
)


def judge_expectations(qa: Evidence, captioning: Evidence, confidence: float) -> list[Finding]:
    """Test every expectation; one whose effect does not exist is left out."""
    effects = [(expected, expected.effect(qa, captioning)) for expected in EXPECTATIONS]
    return [
        _finding(expected, effect, confidence)
        for expected, effect in effects
        if effect is not None and is_defined(effect, confidence)
    ]


def list_not_tested(
    findings: Sequence[Finding], quality_not_available: str | None
) -> list[NotTested]:
    """The expectations that are not among the findings, with the reason."""
    tested = {finding.id for finding in findings}
    return [
        NotTested(
            id=expected.id,
            claim=expected.claim,
            reason=(expected.of_quality and quality_not_available) or f"It takes {expected.needs}.",
        )
        for expected in EXPECTATIONS
        if expected.id not in tested
    ]


def _finding(expected: Expectation, draws: Draws, confidence: float) -> Finding:
    effect = estimate(draws, confidence)
    return Finding(
        id=expected.id,
        claim=expected.claim,
        measure=expected.measure,
        effect=effect.value,
        low=effect.low,
        high=effect.high,
        verdict=verdict_of(effect.low, effect.high),
    )


def verdict_of(low: float, high: float) -> Verdict:
    """The verdict of an interval: only one that leaves out 0 decides."""
    if low > 0:
        return "supported"
    return "refuted" if high < 0 else "inconclusive"
