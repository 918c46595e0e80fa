"""Section `analysis`: statistics, and the limits for findings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from m1.params.numbers import Percent, Seed, Share
from m1.schemas.base import Record

EffectKind = Literal["share", "sensitivity", "preference", "steepness"]
LatencyStatistic = Literal["median", "mean"]


class SmallestEffects(Record):
    """The smallest effect that matters, for each kind of finding."""

    share: Percent
    """Difference between shares of latency, in percentage points."""
    sensitivity: Percent
    """Difference in latency saved by a knob, in percentage points."""
    preference: Share
    """Difference of a knob between the best settings, as a fraction of its reference value."""
    steepness: Annotated[float, Field(ge=0.0, le=1000.0)]
    """Difference in share of quality lost per share of latency saved."""

    def of(self, kind: EffectKind) -> float:
        """The smallest effect of one kind."""
        return {
            "share": self.share,
            "sensitivity": self.sensitivity,
            "preference": self.preference,
            "steepness": self.steepness,
        }[kind]


class AnalysisParams(Record):
    """Section `analysis`."""

    seed: Seed
    """Seed of the bootstrap."""
    n_resamples: Annotated[int, Field(ge=100, le=100_000)]
    """Bootstrap resamples."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    """Confidence of every interval."""
    min_clusters: Annotated[int, Field(ge=2, le=1_000_000)]
    """Smallest number of clusters that decides a finding. Clusters are trials, and images that are
    only scored."""
    smallest_effect: SmallestEffects
    """The smallest effects that matter; findings are compared with them."""
    latency_statistic: LatencyStatistic
    """How the frontier computes the latency of a setting."""
    quality_levels: Annotated[tuple[Share, ...], Field(max_length=20)]
    """Shares of the reference quality. For each, the fastest setting that keeps it is reported."""
    decision_level: Share
    """The quality level at which the optimal settings of the workloads are compared."""

    @model_validator(mode="after")
    def _decides_at_a_level(self) -> Self:
        if self.decision_level not in self.quality_levels:
            levels = ", ".join(map(str, self.quality_levels)) or "none"
            raise ValueError(
                f"decision_level = {self.decision_level} is not one of quality_levels ({levels})"
            )
        return self
