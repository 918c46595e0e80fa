"""The expected differences between the workloads, tested or not, and the answers in words."""

from typing import Literal

from m1.schemas.base import Record

Verdict = Literal["supported", "refuted", "inconclusive"]


class Finding(Record):
    """An expected difference between the workloads that was tested."""

    id: str
    """Stable name."""
    claim: str
    """What was expected, in a sentence."""
    measure: str
    """Meaning and unit of the effect. A positive effect supports the claim."""
    effect: float
    """The measured effect."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end of its interval."""
    smallest_effect: float
    """The smallest effect that matters, in the unit of the effect."""
    verdict: Verdict
    """The interval alone decides. `supported`: all of it is above the smallest effect that matters.
    `refuted`: all of it is below, so the effect is absent, too small to matter, or the opposite of
    the claim. `inconclusive`: neither."""


class NotTested(Record):
    """An expected difference that could not be tested."""

    id: str
    """Stable name."""
    claim: str
    """What was expected, in a sentence."""
    reason: str
    """Why it could not be tested, in a sentence."""


class KeyAnswers(Record):
    """The four key questions, answered from the numbers."""

    latency_difference: str
    """How do latencies differ?"""
    dominant_stages: str
    """Which stage dominates where?"""
    optimal_settings: str
    """Do the optimal settings differ?"""
    frontier_structure: str
    """How does frontier structure differ?"""
