"""Result files of the contrast stage, except the summary."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Fingerprint, FromOne, Record
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import ByStage, DeviceRates, FailedCell, Provenance, Validity
from m1.schemas.requests import ByWorkload
from m1.schemas.results.decode import AtReferenceLength, DecodeSplits
from m1.schemas.results.estimates import (
    Estimate,
    LatencyDistribution,
    Preprocessing,
    SensitivityPoint,
    StageEstimate,
)
from m1.schemas.results.findings import Finding, KeyAnswers, NotTested
from m1.schemas.results.frontier import BestSetting, Frontier, SampleSize
from m1.schemas.results.pareto import Agreement, check_absence
from m1.schemas.results.roofline import CellRoofline
from m1.schemas.settings import Knob, Setting


class StageResult(Record):
    """E1: the stage breakdown (`e1_stage_latency.json`)."""

    schema_version: Literal[2] = 2
    """Version of this layout."""
    reference: Setting
    """The setting measured."""
    stage_breakdown: ByWorkload[ByStage[StageEstimate]]
    """Each stage's time and share."""
    latency: ByWorkload[LatencyDistribution]
    """Distribution of latencies."""
    mean_output_tokens: ByWorkload[Estimate]
    """Tokens written."""
    preprocessing: ByWorkload[Preprocessing] | None = None
    """Preprocessing, which comes before the total and is not part of it; null in results of earlier
    versions."""
    made_from: MadeFrom | None = None
    """The inputs of this result; null in results of earlier versions."""


class WorkloadContrast(Record):
    """M1: the contrast of both workloads (`m1_workload_contrast.json`)."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    provenance: Provenance
    """The origin of the run: model, data, device, and software."""
    validity: Validity
    """Whether the run is valid."""
    reference: Setting
    """The reference setting."""
    confidence: float
    """Confidence of every interval."""
    n_processes: FromOne = 1
    """Number of processes that measured. With one, intervals do not hold what differs between
    processes."""
    stage_breakdown: ByWorkload[ByStage[StageEstimate]]
    """E1: each stage's time and share."""
    latency: ByWorkload[LatencyDistribution]
    """E1: distribution of latencies."""
    mean_output_tokens: ByWorkload[Estimate]
    """E1: tokens written."""
    preprocessing: ByWorkload[Preprocessing] | None = None
    """E1: preprocessing, which comes before the total and is not part of it; null in results of
    earlier versions."""
    timed: ByWorkload[SampleSize]
    """E2: the sample on which latency was measured at each setting."""
    quality_not_available: str | None
    """Why there is no quality, in a sentence. Results that need quality are null then."""
    frontiers: ByWorkload[Frontier] | None
    """E2: each workload's frontier."""
    optimal_settings: ByWorkload[tuple[BestSetting, ...]] | None
    """E2: the fastest setting at each quality level."""
    cut_share: ByWorkload[Estimate] | None
    """E2: share of outputs at the reference setting that were cut at `max_new_tokens`."""
    agreement: ByWorkload[Agreement] | None
    """E2: whether answers in batches are the same as answers to single requests."""
    sensitivity: ByWorkload[dict[Knob, tuple[SensitivityPoint, ...]]]
    """E2: the effect of each knob, largest value first. A knob with one value has no points."""
    decode_split: ByWorkload[DecodeSplits]
    """E2: the parts of each change of decode time that are due to length and to speed."""
    device_rates: DeviceRates
    """The speed of the device, measured in the same run."""
    roofline: ByWorkload[tuple[CellRoofline, ...]]
    """E2: each stage compared with the limits of the device, the reference setting first."""
    at_reference_length: ByWorkload[AtReferenceLength] | None
    """The same requests with outputs of fixed length; null unless both decode modes ran."""
    findings: tuple[Finding, ...]
    """The expected differences, tested."""
    not_tested: tuple[NotTested, ...]
    """Expected differences that could not be tested, and why."""
    answers: KeyAnswers
    """The four key questions, answered."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured. A setting that failed in E2 is left out of both
    workloads."""
    made_from: MadeFrom | None = None
    """The inputs of this result; null in results of earlier versions."""
    latency_cdf_fingerprint: Fingerprint | None = None
    """Fingerprint of the plot data of latency beside it; null in results of earlier versions."""

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        of_quality = (self.frontiers, self.optimal_settings, self.cut_share, self.agreement)
        check_absence(self.quality_not_available, *of_quality)
        for workload, frontier in (self.frontiers or {}).items():
            if (frontier.workload, frontier.reference) != (workload, self.reference):
                raise ValueError(
                    f"the frontier of {workload} at {self.reference.label} is that of "
                    f"{frontier.workload} at {frontier.reference.label}"
                )
        return self
