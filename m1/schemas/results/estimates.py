"""Numbers with intervals, and groups of such numbers that several results share."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Amount, Fraction, FromOne, Record
from m1.schemas.profile import ByStage

TailCause = Literal["requests", "machine"]
PreprocessingPart = Literal["open image", "processor"]


class Estimate(Record):
    """A number with its confidence interval, from the bootstrap over clusters."""

    value: float
    """The number for the measured sample."""
    low: float
    """Lower end of the interval. docs/coverage.md has its coverage."""
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
    """Time before the clock of the total starts: from an image's file to inputs on the device.

    Files are already in memory, so this time contains no disk access and no download.
    """

    mean_ms: Estimate | None = None
    """Mean. It is null in runs that did not time the opening of images, and so are the numbers that
    need it."""
    p50_ms: Estimate | None = None
    """Median; also null with fewer than 5 requests."""
    p95_ms: Estimate | None = None
    """95th percentile; also null with fewer than 59 requests."""
    relative_to_total: Estimate | None = None
    """Mean divided by the mean total. Preprocessing is not part of the total: at 0.2, a request
    takes 1.2 times its total."""
    open_image_ms: Estimate | None = None
    """Mean time to open the image: to read the file, and to decode it to upright RGB pixels."""
    processor_ms: Estimate
    """Mean time of the other steps: making the image larger or smaller for `vision_tokens`, image
    processor, tokenizer, copy to the device."""

    @property
    def parts(self) -> dict[PreprocessingPart, Estimate]:
        """The parts that were measured, in the order in which they happen."""
        opening: dict[PreprocessingPart, Estimate]
        opening = {"open image": self.open_image_ms} if self.open_image_ms else {}
        return opening | {"processor": self.processor_ms}


class Variation(Record):
    """The causes of variation: the machine (jitter at one request), or different requests."""

    n_requests: FromOne
    """Number of requests that every trial measured again."""
    n_measurements: FromOne
    """Number of their measurements."""
    jitter: Amount
    """Spread around a request's own median, as a share of this median (1.48 times the median
    absolute deviation)."""
    between_requests: Amount
    """Spread of E1 that jitter does not explain, on the same scale."""
    request_share: Fraction
    """Share of the variance of E1 that is due to the requests."""
    tail_cause: dict[str, TailCause]
    """The cause of P95 and P99. `requests`: some requests are slow whenever they are measured.
    `machine`: jitter alone explains at least half of the squared distance from the median. There is
    no entry if too few measurements were repeated, or if the percentile is missing."""


class LatencyDistribution(Record):
    """Latency of one workload at the reference setting."""

    n: FromOne
    """Number of requests."""
    mean_ms: Estimate
    """Mean latency."""
    p50_ms: Estimate | None
    """Median; null with fewer than 5 requests."""
    p95_ms: Estimate | None
    """95th percentile; null with fewer than 59 requests."""
    p99_ms: Estimate | None
    """99th percentile; null with fewer than 299 requests."""
    not_available: dict[str, str]
    """Percentiles for which the sample is too small, and the reason."""
    upper_bound_ms: dict[str, float]
    """Upper confidence bound of each available percentile, from order statistics. It is the latency
    of the fastest request that, with this confidence, is not faster than the percentile."""
    variation: Variation | None
    """Jitter, and the variation between requests; null if no request was repeated."""


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
