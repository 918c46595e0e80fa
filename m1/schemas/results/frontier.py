"""Quality and latency of one workload over the grid."""

from typing import Self

from pydantic import model_validator

from m1.schemas.base import Fraction, FromOne, Record, repeated
from m1.schemas.requests import Workload
from m1.schemas.results.coupling import Coupling
from m1.schemas.results.estimates import Estimate
from m1.schemas.settings import Knob, Setting


class FrontierPoint(Record):
    """One setting: its latency, its quality, and whether it is on the frontier."""

    setting: Setting
    """The setting."""
    label: str
    """Its short name: visual tokens / top_k / blocks."""
    latency_ms: Estimate
    """Latency by the chosen statistic."""
    quality: Estimate
    """Mean quality."""
    latency_fraction: Estimate
    """Latency as a fraction of the reference setting's, paired by request."""
    quality_fraction: Estimate
    """Quality as a fraction of the reference setting's, paired by request."""
    on_frontier: bool
    """Whether no other setting is at least as good and faster, or as fast and better."""
    frontier_share: Fraction
    """Share of resamples in which the setting is on the frontier."""
    cut_share: Estimate
    """Share of outputs that were cut at `max_new_tokens` (`finish_reason` is `length`)."""
    further_quality: dict[str, float]
    """Corpus scores without an interval, such as BLEU-4 and ROUGE-L."""


class BestSetting(Record):
    """The fastest setting that keeps a share of the reference quality."""

    level: Fraction
    """Share of reference quality."""
    setting: Setting
    """The fastest setting that keeps this share on the measured sample."""
    label: str
    """Its short name."""
    latency_fraction: Estimate
    """Its latency as a fraction of the reference setting's."""
    share_of_resamples: Fraction
    """Share of resamples in which the same setting is the fastest."""


class SingleKnobFrontier(Record):
    """The frontier if only one knob moves."""

    knob: Knob
    """The knob."""
    labels: tuple[str, ...]
    """Settings on this frontier, fastest first."""
    hypervolume: Estimate
    """Its hypervolume, comparable with that of the whole grid."""


class SampleSize(Record):
    """The size of a sample: the requests and images of a cell."""

    n_requests: FromOne
    """Number of requests in each cell."""
    n_images: FromOne
    """Number of images of these requests."""
    n_clusters: FromOne
    """Number of units of the bootstrap: trials, and images that are only scored."""


class Frontier(Record):
    """Quality and latency of one workload over the grid."""

    workload: Workload
    """Workload of the frontier."""
    latency_statistic: str
    """`median` or `mean`."""
    quality_metric: str
    """`vqa_accuracy` or `cider_d`."""
    quality_ceiling: float | None = None
    """The largest mean quality that answers to the scored requests can have. With two or three
    references, a request cannot reach 1. Null for captions, for which it is not known, or if it was
    not recorded."""
    timed: SampleSize
    """The sample on which latency was measured, one request at a time."""
    scored: SampleSize
    """The sample on which quality was measured, in batches."""
    reference: Setting
    """The reference setting."""
    points: tuple[FrontierPoint, ...]
    """All settings, fastest first."""
    hypervolume: Estimate
    """The dominated area, with both axes as fractions of the reference setting. Noise makes the
    value on the sample too large; the interval corrects this."""
    hypervolume_reference_point: tuple[float, float]
    """Latency fraction and quality fraction that limit the area."""
    steepness: Estimate | None
    """Share of quality lost per share of latency saved, from the reference setting to the fastest.
    Null if too few resamples have a setting that is faster than the reference."""
    best_settings: tuple[BestSetting, ...]
    """The fastest setting at each quality level."""
    single_knob: tuple[SingleKnobFrontier, ...]
    """A frontier for each knob, with the other knobs at the reference."""
    coupling: Coupling
    """How the frontier depends on each knob, and how much better the whole grid is than single
    knobs."""

    @model_validator(mode="after")
    def _of_one_grid(self) -> Self:
        if twice := repeated(point.setting.label for point in self.points):
            raise ValueError(f"points has the setting {twice} more than once")
        if all(point.setting != self.reference for point in self.points):
            raise ValueError(f"reference, {self.reference.label}, is not among points")
        return self
