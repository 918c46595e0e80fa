"""Numbers with intervals, and the groups of them that several results share."""

from m1.schemas.base import Record
from m1.schemas.profile import Stage


class Estimate(Record):
    """A number with its confidence interval (bootstrap over images, percentile)."""

    value: float
    """On the measured sample."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


class StageEstimate(Record):
    """One stage of one workload at the reference setting."""

    mean_ms: Estimate
    """Mean time."""
    share: Estimate
    """Share of the sum of the four stages."""


class LatencyDistribution(Record):
    """Latency of one workload at the reference setting."""

    n: int
    """Requests."""
    mean_ms: Estimate
    """Mean."""
    p50_ms: Estimate | None
    """Median."""
    p95_ms: Estimate | None
    """95th percentile; null with fewer than 59 requests."""
    p99_ms: Estimate | None
    """99th percentile; null with fewer than 299 requests."""
    not_available: dict[str, str]
    """Percentiles that the sample is too small for, and why."""


class SensitivityPoint(Record):
    """One knob at one value, the others at the reference setting."""

    value: int
    """Value of the knob."""
    latency_change_percent: Estimate
    """Change of mean latency from the reference setting."""
    stage_change_percent: dict[Stage, Estimate]
    """Change of each stage, in percent of the reference setting's total."""
    quality_change_percent: Estimate | None
    """Change of mean quality; null where there is no quality."""
    main_effect_percent: Estimate
    """Change of mean latency, averaged over the whole grid of the other knobs."""
