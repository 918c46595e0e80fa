"""The expected differences between the workloads. The interval of an effect tests each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m1.analysis.cells import DECODE
from m1.analysis.contrast.evidence import Evidence
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate, is_defined
from m1.params import AnalysisParams, EffectKind
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Finding, NotTested, Verdict
from m1.schemas.settings import Knob

OF_QUALITY: frozenset[EffectKind] = frozenset(("preference", "steepness"))
"""Kinds of effect that need answers with a meaningful quality."""

Effect = Callable[[Evidence, Evidence], Draws | None]
"""Computes an effect from question answering and captioning [n_draws]; `None` if it cannot."""


@dataclass(frozen=True)
class Expectation:
    """A claim and the effect that decides it."""

    id: str
    kind: EffectKind
    """The kind of the effect. It selects the threshold from `analysis.smallest_effect`."""
    claim: str
    measure: str
    needs: str
    """What is needed to compute the effect."""
    effect: Effect


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
        "share",
        "Question answering spends more time before the first token than in decode.",
        "share of vision, projector and prefill minus share of decode, percentage points",
        "a measured request",
        lambda qa, captioning: _before_first_token_margin(qa),
    ),
    Expectation(
        "captioning-decode-heavy",
        "share",
        "Captioning spends more time in decode than before the first token.",
        "share of decode minus share of vision, projector and prefill, percentage points",
        "a measured request",
        lambda qa, captioning: -_before_first_token_margin(captioning),
    ),
    Expectation(
        "qa-more-sensitive-to-vision-tokens",
        "sensitivity",
        "Fewer visual tokens save a larger share of latency in question answering.",
        _SAVED.format("question answering minus captioning"),
        _VALUES.format("vision_tokens"),
        _more_sensitive("vision_tokens", qa=True),
    ),
    Expectation(
        "captioning-more-sensitive-to-active-blocks",
        "sensitivity",
        "Fewer active blocks save a larger share of latency in captioning.",
        _SAVED.format("captioning minus question answering"),
        _VALUES.format("active_blocks"),
        _more_sensitive("active_blocks", qa=False),
    ),
    Expectation(
        "captioning-more-sensitive-to-top-k",
        "sensitivity",
        "Fewer experts per token save a larger share of latency in captioning.",
        _SAVED.format("captioning minus question answering"),
        _VALUES.format("top_k"),
        _more_sensitive("top_k", qa=False),
    ),
    Expectation(
        "qa-prefers-fewer-vision-tokens",
        "preference",
        "The best setting has fewer visual tokens in question answering than in captioning.",
        _BEST.format("captioning minus question answering"),
        _VALUES.format("vision_tokens"),
        _prefers_fewer("vision_tokens", qa=True),
    ),
    Expectation(
        "captioning-prefers-fewer-blocks",
        "preference",
        "The best setting has fewer active blocks in captioning than in question answering.",
        _BEST.format("question answering minus captioning"),
        _VALUES.format("active_blocks"),
        _prefers_fewer("active_blocks", qa=False),
    ),
    Expectation(
        "qa-frontier-steeper",
        "steepness",
        "Saving latency costs question answering more of its quality than it costs captioning.",
        "share of quality lost per share of latency saved, question answering minus captioning",
        "a faster setting than the reference in both workloads",
        _steeper,
    ),
)


def judge_expectations(
    qa: Evidence, captioning: Evidence, analysis: AnalysisParams, *, few_compilations: bool = False
) -> list[Finding]:
    """Test every expectation whose effect exists and rests on enough clusters.

    Args:
        qa: the numbers of question answering.
        captioning: the numbers of captioning.
        analysis: the smallest effects and the smallest number of clusters.
        few_compilations: whether the compiler may choose so differently in another process that
            nothing is decided.
    """
    effects = [(expected, expected.effect(qa, captioning)) for expected in EXPECTATIONS]
    return [
        _finding(expected, effect, analysis, qa.confidence, few_compilations=few_compilations)
        for expected, effect in effects
        if effect is not None
        and is_defined(effect, qa.confidence)
        and _n_clusters(expected, qa, captioning) >= analysis.min_clusters
    ]


def _n_clusters(expected: Expectation, qa: Evidence, captioning: Evidence) -> int:
    return min(qa.n_clusters[expected.kind], captioning.n_clusters[expected.kind])


def list_not_tested(
    findings: Sequence[Finding],
    evidence: Mapping[Workload, Evidence],
    quality_not_available: str | None,
    min_clusters: int,
) -> list[NotTested]:
    """The expectations that are not among the findings, with the reason.

    Args:
        findings: the expectations that were tested.
        evidence: the numbers that they were tested on.
        quality_not_available: why there is no quality, in a sentence.
        min_clusters: the smallest number of clusters for a verdict.
    """
    tested = {finding.id for finding in findings}

    def reason(expected: Expectation) -> str:
        if expected.kind in OF_QUALITY and quality_not_available:
            return quality_not_available
        there = _n_clusters(expected, *(evidence[w] for w in WORKLOADS))
        if there < min_clusters:
            return (
                f"It takes intervals from {min_clusters} clusters (trials, or images that are only "
                f"scored), and there are {there}."
            )
        return f"It takes {expected.needs}."

    return [
        NotTested(id=expected.id, claim=expected.claim, reason=reason(expected))
        for expected in EXPECTATIONS
        if expected.id not in tested
    ]


def _finding(
    expected: Expectation,
    draws: Draws,
    analysis: AnalysisParams,
    confidence: Confidence,
    *,
    few_compilations: bool,
) -> Finding:
    effect = estimate(draws, confidence)
    smallest = analysis.smallest_effect.of(expected.kind)
    return Finding(
        id=expected.id,
        claim=expected.claim,
        measure=expected.measure,
        effect=effect.value,
        low=effect.low,
        high=effect.high,
        smallest_effect=smallest,
        verdict="inconclusive"
        if few_compilations
        else verdict_of(effect.low, effect.high, smallest),
    )


def verdict_of(low: float, high: float, smallest: float) -> Verdict:
    """The verdict of an interval. It decides only if it does not contain the smallest effect."""
    if low > smallest:
        return "supported"
    return "refuted" if high < smallest else "inconclusive"
