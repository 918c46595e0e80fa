"""Numbers with intervals, and groups of such numbers that several results share."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record
from m1.schemas.profile import ByStage
from m1.schemas.quantities import Amount, Fraction, FromOne

TailCause = Literal["requests", "machine"]
PreprocessingPart = Literal["open image", "processor"]


class Estimate(Record):
    """A number with its confidence interval, from the bootstrap over clusters."""

    value: float
    """Value on the measured sample."""
    low: float
    """Lower end of the interval; its coverage is in docs/coverage.md."""
    high: float
    """Upper end of the interval."""

    @model_validator(mode="after")
    def _low_to_high(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"the interval ends at {self.high}, below its start {self.low}")
        return self


class StageEstimate(Record):
    """One stage of one workload at the reference setting."""

    mean_ms: Estimate
    """Mean time."""
    share: Estimate
    """Share of the stage in the sum of the four stages."""


class Preprocessing(Record):
    """What comes before the clock of the total: from an image's file to inputs on the device.

    Files are in memory, so that neither a disk nor a download is in it.
    """

    mean_ms: Estimate | None = None
    """Mean time. It is null in runs that did not time opening, like the numbers that depend on
    it."""
    p50_ms: Estimate | None = None
    """Median. It is also null with fewer than 5 requests."""
    p95_ms: Estimate | None = None
    """95th percentile. It is also null with fewer than 59 requests."""
    relative_to_total: Estimate | None = None
    """Mean divided by the mean total. Preprocessing is not part of the total: at 0.2 a request
    takes 1.2 totals."""
    open_image_ms: Estimate | None = None
    """Mean time of opening: reading the file, and decoding it to upright RGB pixels."""
    processor_ms: Estimate
    """Mean time of the rest: resizing the image for `vision_tokens`, image processor, tokenizer,
    and the copy to the device."""

    @property
    def parts(self) -> dict[PreprocessingPart, Estimate]:
        """The measured parts, in the order in which they happen."""
        opening: dict[PreprocessingPart, Estimate]
        opening = {"open image": self.open_image_ms} if self.open_image_ms else {}
        return opening | {"processor": self.processor_ms}


class Variation(Record):
    """Why latency varies: the machine varies at the same request (jitter), or requests differ."""

    n_requests: FromOne
    """Number of requests that every trial measured again."""
    n_measurements: FromOne
    """Number of measurements of these requests."""
    jitter: Amount
    """Spread around the request's own median, as a share of the median (1.48 times the median
    absolute deviation)."""
    between_requests: Amount
    """Spread of E1 without jitter, on the same scale."""
    request_share: Fraction
    """Share of the variance of E1 that is due to the requests."""
    tail_cause: dict[str, TailCause]
    """What P95 and P99 are about: `requests` that are slow whenever they are measured, or the
    `machine`, where jitter alone explains half of the squared distance from the median or more.
    Without entries where too few measurements were repeated, or the percentile is missing."""


class LatencyDistribution(Record):
    """Latency of one workload at the reference setting."""

    n: FromOne
    """Number of requests."""
    mean_ms: Estimate
    """Mean latency."""
    p50_ms: Estimate | None
    """Median latency."""
    p95_ms: Estimate | None
    """95th percentile; null with fewer than 59 requests."""
    p99_ms: Estimate | None
    """99th percentile; null with fewer than 299 requests."""
    not_available: dict[str, str]
    """Percentiles that the sample is too small for, and why."""
    upper_bound_ms: dict[str, float]
    """Upper confidence bound of each available percentile, by order statistics: the latency of the
    fastest request that is not faster than the percentile, at this confidence."""
    variation: Variation | None
    """Jitter, separated from variation between requests; null if no request was repeated."""


class SensitivityPoint(Record):
    """One knob at one value, with the other knobs at the reference setting."""

    value: int
    """Value of the knob."""
    latency_change_percent: Estimate
    """Change of mean latency from the reference setting."""
    stage_change_percent: ByStage[Estimate]
    """Change of each stage, in percent of the reference setting's total."""
    quality_change_percent: Estimate | None
    """Change of mean quality; null if there is no quality."""
    main_effect_percent: Estimate
    """Change of mean latency, averaged over the whole grid of the other knobs."""
