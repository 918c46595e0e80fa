"""Quality and latency of one workload over the grid."""

from typing import Self

from pydantic import model_validator

from m1.schemas.base import Record, repeated
from m1.schemas.coupling import Coupling
from m1.schemas.estimates import Estimate
from m1.schemas.quantities import Fraction, FromOne
from m1.schemas.requests import Workload
from m1.schemas.settings import Knob, Setting


class FrontierPoint(Record):
    """One setting: how fast, how good, and whether another is both."""

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
    """Share of resamples in which it is on the frontier."""
    cut_share: Estimate
    """Share of outputs that were cut at the longest one (`finish_reason` is `length`)."""
    further_quality: dict[str, float]
    """Corpus scores without an interval, such as BLEU-4 and ROUGE-L."""


class BestSetting(Record):
    """The fastest setting that keeps a share of the reference quality."""

    level: Fraction
    """Share of reference quality."""
    setting: Setting
    """The fastest setting that keeps it on the measured sample."""
    label: str
    """Its short name."""
    latency_fraction: Estimate
    """Its latency as a fraction of the reference setting's."""
    share_of_resamples: Fraction
    """Share of resamples in which the same setting is the fastest."""


class SingleKnobFrontier(Record):
    """The frontier when only one knob moves."""

    knob: Knob
    """The knob."""
    labels: tuple[str, ...]
    """Settings on it, fastest first."""
    hypervolume: Estimate
    """Its hypervolume, comparable with the joint one."""


class SampleSize(Record):
    """How many requests a cell has."""

    n_requests: FromOne
    """Requests in each cell."""
    n_images: FromOne
    """Images they are about."""
    n_clusters: FromOne
    """Units of the bootstrap: trials, and images that are only scored."""


class Frontier(Record):
    """Quality and latency of one workload over the grid."""

    workload: Workload
    """Whose frontier."""
    latency_statistic: str
    """`median` or `mean`."""
    quality_metric: str
    """`vqa_accuracy` or `cider_d`."""
    timed: SampleSize
    """What latency was measured on, one request at a time."""
    scored: SampleSize
    """What quality was measured on, in batches."""
    reference: Setting
    """The reference setting."""
    points: tuple[FrontierPoint, ...]
    """All settings, fastest first."""
    hypervolume: Estimate
    """Area dominated, both axes as fractions of the reference setting; noise makes the value on
    the sample too large, and the interval takes that off."""
    hypervolume_reference_point: tuple[float, float]
    """Latency and quality fraction that bound the area."""
    steepness: Estimate | None
    """Share of quality lost per share of latency saved, from the reference setting to the fastest;
    null where too few resamples have a faster one."""
    best_settings: tuple[BestSetting, ...]
    """The fastest setting at each quality level."""
    single_knob: tuple[SingleKnobFrontier, ...]
    """Frontiers of one knob each, the others at the reference."""
    coupling: Coupling
    """How the frontier depends on each knob, and what single knobs leave to the whole grid."""

    @model_validator(mode="after")
    def _of_one_grid(self) -> Self:
        if twice := repeated(point.setting.label for point in self.points):
            raise ValueError(f"points has the setting {twice} more than once")
        if all(point.setting != self.reference for point in self.points):
            raise ValueError(f"reference, {self.reference.label}, is not among points")
        return self
