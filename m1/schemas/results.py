"""Result files of the pareto and contrast stages."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.answers import Answer
from m1.schemas.base import Record
from m1.schemas.coupling import Coupling
from m1.schemas.decode import AtReferenceLength, DecodeSplits
from m1.schemas.estimates import Estimate as Estimate
from m1.schemas.estimates import LatencyDistribution as LatencyDistribution
from m1.schemas.estimates import SensitivityPoint as SensitivityPoint
from m1.schemas.estimates import StageEstimate as StageEstimate
from m1.schemas.profile import DeviceRates, FailedCell, Provenance, Stage, Validity
from m1.schemas.requests import Workload
from m1.schemas.roofline import CellRoofline
from m1.schemas.settings import Knob, Setting

Verdict = Literal["supported", "refuted", "inconclusive"]


class ScoredAnswer(Answer):
    """An answer with its quality."""

    quality: float
    """VQA accuracy (0 to 1) or CIDEr-D (0 to 10) of the output."""


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
    frontier_share: float
    """Share of resamples in which it is on the frontier."""
    cut_share: Estimate
    """Share of outputs that were cut at the longest one (`finish_reason` is `length`)."""
    further_quality: dict[str, float]
    """Corpus scores without an interval, such as BLEU-4 and ROUGE-L."""


class BestSetting(Record):
    """The fastest setting that keeps a share of the reference quality."""

    level: float
    """Share of reference quality."""
    setting: Setting
    """The fastest setting that keeps it on the measured sample."""
    label: str
    """Its short name."""
    latency_fraction: Estimate
    """Its latency as a fraction of the reference setting's."""
    share_of_resamples: float
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

    n_requests: int
    """Requests in each cell."""
    n_images: int
    """Images they are about."""
    n_clusters: int
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


class Agreement(Record):
    """Whether batches say what single requests say: E2's timed outputs against the answers."""

    n_pairs: int
    """Requests that were both timed and answered, at every setting."""
    identical_share: Estimate
    """Share of pairs with the same text."""
    quality_difference: Estimate
    """Mean quality of the answers minus that of the timed outputs."""


class ParetoResult(Record):
    """E2 of one workload (`e2_pareto_<workload>.json`)."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    workload: Workload
    """Whose frontier."""
    quality_not_available: str | None
    """Why there is no frontier, in a sentence; null where there is one."""
    frontier: Frontier | None
    """Quality and latency over the grid; null where there is no quality."""
    agreement: Agreement | None
    """Batches against single requests; null where there is no quality."""
    failed: tuple[FailedCell, ...] = ()
    """Cells of E2 that could not be measured; their settings are left out of both workloads."""

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        check_absence(self.quality_not_available, self.frontier, self.agreement)
        return self


def check_absence(reason: str | None, *results: object) -> None:
    """What rests on quality is there, or a reason is, never both.

    Raises:
        ValueError: otherwise.
    """
    if any((result is None) == (reason is None) for result in results):
        raise ValueError("what rests on quality is null where quality_not_available says why")


class StageResult(Record):
    """E1: the stage breakdown (`e1_stage_latency.json`)."""

    schema_version: Literal[2] = 2
    """Version of this layout."""
    reference: Setting
    """The setting measured."""
    stage_breakdown: dict[Workload, dict[Stage, StageEstimate]]
    """Each stage's time and share."""
    latency: dict[Workload, LatencyDistribution]
    """Distribution of latencies."""
    mean_output_tokens: dict[Workload, Estimate]
    """Tokens written."""


class Finding(Record):
    """An expected difference of the workloads, tested."""

    id: str
    """Stable name."""
    claim: str
    """What was expected, in a sentence."""
    measure: str
    """What the effect is, with its unit; positive is in favour of the claim."""
    effect: float
    """The measured effect."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end of its interval."""
    smallest_effect: float
    """The smallest effect that matters, in the unit of the effect."""
    verdict: Verdict
    """Decided by the interval alone: `supported` where all of it is above the smallest effect that
    matters, `refuted` where all of it is below (the effect is absent, too small to matter, or the
    opposite of the claim), else `inconclusive`."""


class NotTested(Record):
    """An expected difference that could not be tested."""

    id: str
    """Stable name."""
    claim: str
    """What was expected, in a sentence."""
    reason: str
    """Why it could not be tested, in a sentence."""


class Answers(Record):
    """The four key questions, answered from the numbers."""

    latency_difference: str
    """How do latencies differ?"""
    dominant_stages: str
    """Which stage dominates where?"""
    optimal_settings: str
    """Do the optimal settings differ?"""
    frontier_structure: str
    """How does frontier structure differ?"""


class WorkloadContrast(Record):
    """M1: the contrast of both workloads (`m1_workload_contrast.json`)."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    provenance: Provenance
    """What was measured, on what."""
    validity: Validity
    """Whether it may be believed."""
    reference: Setting
    """The reference setting."""
    confidence: float
    """Confidence of every interval."""
    stage_breakdown: dict[Workload, dict[Stage, StageEstimate]]
    """E1: each stage's time and share."""
    latency: dict[Workload, LatencyDistribution]
    """E1: distribution of latencies."""
    mean_output_tokens: dict[Workload, Estimate]
    """E1: tokens written."""
    timed: dict[Workload, SampleSize]
    """E2: what latency was measured on at each setting."""
    quality_not_available: str | None
    """Why there is no quality, in a sentence; what rests on it is null then."""
    frontiers: dict[Workload, Frontier] | None
    """E2: each workload's frontier."""
    optimal_settings: dict[Workload, tuple[BestSetting, ...]] | None
    """E2: the fastest setting at each quality level."""
    cut_share: dict[Workload, Estimate] | None
    """E2: share of outputs at the reference setting that were cut at the longest one."""
    agreement: dict[Workload, Agreement] | None
    """E2: whether answers in batches are those of single requests."""
    sensitivity: dict[Workload, dict[Knob, tuple[SensitivityPoint, ...]]]
    """E2: what each knob does, largest value first; a knob with one value has no points."""
    decode_split: dict[Workload, DecodeSplits]
    """E2: how much of each change of decode time is length, and how much speed."""
    device_rates: DeviceRates
    """What the device can do, measured in the same run."""
    roofline: dict[Workload, tuple[CellRoofline, ...]]
    """E2: each stage against what the device can do, the reference setting first."""
    at_reference_length: dict[Workload, AtReferenceLength] | None
    """The same requests with outputs of fixed length; null unless both decode modes ran."""
    findings: tuple[Finding, ...]
    """The expected differences, tested."""
    not_tested: tuple[NotTested, ...]
    """Those that could not be tested, and why."""
    answers: Answers
    """The four key questions, answered."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured; settings that E2 misses are left out of both workloads."""

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        of_quality = (self.frontiers, self.optimal_settings, self.cut_share, self.agreement)
        check_absence(self.quality_not_available, *of_quality)
        return self


class WorkloadSummary(Record):
    """A workload in a few numbers."""

    p50_ms: float | None
    """Median latency at the reference setting."""
    p99_ms: float | None
    """99th percentile."""
    before_first_token_share: float
    """Share of latency before the first token is known."""
    reference_quality: float | None
    """Quality at the reference setting; null where there is none."""
    steepness: float | None
    """Share of quality lost per share of latency saved, from the reference to the fastest."""
    best_setting: str | None
    """Fastest setting at the decision level of quality; null where there is none."""


class Summary(Record):
    """The headline numbers (`summary.json`), the one DVC metric."""

    valid: bool
    """Whether the run passed every check."""
    invalid_because: str | None
    """The failed checks' sentences; null where the run is valid."""
    quality_not_available: str | None
    """Why there is no quality, in a sentence; null where there is."""
    qa: WorkloadSummary
    """Question answering."""
    captioning: WorkloadSummary
    """Captioning."""
    findings_supported: int
    """How many findings are supported."""
    findings_refuted: int
    """How many are refuted."""
    failed_cells: int = 0
    """How many cells could not be measured."""
