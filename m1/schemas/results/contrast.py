"""Result files of the contrast stage, but for the summary."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record
from m1.schemas.decode import AtReferenceLength, DecodeSplits
from m1.schemas.estimates import (
    Estimate,
    LatencyDistribution,
    Preprocessing,
    SensitivityPoint,
    StageEstimate,
)
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import ByStage, DeviceRates, FailedCell, Provenance, Validity
from m1.schemas.quantities import Fingerprint
from m1.schemas.requests import ByWorkload
from m1.schemas.results.findings import Finding, KeyAnswers, NotTested
from m1.schemas.results.frontier import BestSetting, Frontier, SampleSize
from m1.schemas.results.pareto import Agreement, check_absence
from m1.schemas.roofline import CellRoofline
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
    """What comes before the total and is no part of it; null in results of earlier versions."""
    made_from: MadeFrom | None = None
    """What it was made from; null in results of earlier versions."""


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
    stage_breakdown: ByWorkload[ByStage[StageEstimate]]
    """E1: each stage's time and share."""
    latency: ByWorkload[LatencyDistribution]
    """E1: distribution of latencies."""
    mean_output_tokens: ByWorkload[Estimate]
    """E1: tokens written."""
    preprocessing: ByWorkload[Preprocessing] | None = None
    """E1: what comes before the total and is no part of it; null in results of earlier versions."""
    timed: ByWorkload[SampleSize]
    """E2: what latency was measured on at each setting."""
    quality_not_available: str | None
    """Why there is no quality, in a sentence; what rests on it is null then."""
    frontiers: ByWorkload[Frontier] | None
    """E2: each workload's frontier."""
    optimal_settings: ByWorkload[tuple[BestSetting, ...]] | None
    """E2: the fastest setting at each quality level."""
    cut_share: ByWorkload[Estimate] | None
    """E2: share of outputs at the reference setting that were cut at the longest one."""
    agreement: ByWorkload[Agreement] | None
    """E2: whether answers in batches are those of single requests."""
    sensitivity: ByWorkload[dict[Knob, tuple[SensitivityPoint, ...]]]
    """E2: what each knob does, largest value first; a knob with one value has no points."""
    decode_split: ByWorkload[DecodeSplits]
    """E2: how much of each change of decode time is length, and how much speed."""
    device_rates: DeviceRates
    """What the device can do, measured in the same run."""
    roofline: ByWorkload[tuple[CellRoofline, ...]]
    """E2: each stage against what the device can do, the reference setting first."""
    at_reference_length: ByWorkload[AtReferenceLength] | None
    """The same requests with outputs of fixed length; null unless both decode modes ran."""
    findings: tuple[Finding, ...]
    """The expected differences, tested."""
    not_tested: tuple[NotTested, ...]
    """Those that could not be tested, and why."""
    answers: KeyAnswers
    """The four key questions, answered."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured; settings that E2 misses are left out of both workloads."""
    made_from: MadeFrom | None = None
    """What it was made from; null in results of earlier versions."""
    latency_cdf_fingerprint: Fingerprint | None = None
    """Of the plot data of latency beside it; null in results of earlier versions."""

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
