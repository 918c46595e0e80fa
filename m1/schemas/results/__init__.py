"""Result files of the pareto and contrast stages."""

from m1.schemas.results.contrast import StageResult, WorkloadContrast
from m1.schemas.results.estimates import (
    Estimate,
    LatencyDistribution,
    Preprocessing,
    SensitivityPoint,
    StageEstimate,
)
from m1.schemas.results.findings import Finding, KeyAnswers, NotTested, Verdict
from m1.schemas.results.frontier import (
    BestSetting,
    Frontier,
    FrontierPoint,
    SampleSize,
    SingleKnobFrontier,
)
from m1.schemas.results.pareto import Agreement, ParetoResult, ScoredAnswer
from m1.schemas.results.summary import Summary, WorkloadSummary

__all__ = [
    "Agreement",
    "BestSetting",
    "Estimate",
    "Finding",
    "Frontier",
    "FrontierPoint",
    "KeyAnswers",
    "LatencyDistribution",
    "NotTested",
    "ParetoResult",
    "Preprocessing",
    "SampleSize",
    "ScoredAnswer",
    "SensitivityPoint",
    "SingleKnobFrontier",
    "StageEstimate",
    "StageResult",
    "Summary",
    "Verdict",
    "WorkloadContrast",
    "WorkloadSummary",
]
