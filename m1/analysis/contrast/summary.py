"""The headline numbers of a contrast."""

from collections.abc import Mapping
from typing import Any, Literal

from m1.analysis.frontier.frontier import best_at, reference_point
from m1.schemas.profile import Verdict
from m1.schemas.requests import Workload
from m1.schemas.results import Summary, WorkloadContrast, WorkloadSummary

VALID: Mapping[Verdict, Literal["yes", "ratio", "no"]] = {
    "valid": "yes",
    "valid for ratios": "ratio",
    "invalid": "no",
}
DIGITS = 4
"""Significant digits, so that a table of experiments shows differences and not noise."""
DIGITS_OF_RUN = 8
"""Digits of a run's fingerprint: enough to distinguish a few thousand runs in a narrow column."""


def summarise(contrast: WorkloadContrast, decision_level: float) -> Summary:
    """Reduce a contrast to its headline numbers.

    Args:
        contrast: the whole result.
        decision_level: share of reference quality at which the best setting is named.
    """
    verdicts = [finding.verdict for finding in contrast.findings]
    summary = Summary(
        valid=VALID[contrast.validity.verdict],
        qa_ms=_median_ms(contrast, "qa"),
        captioning_ms=_median_ms(contrast, "captioning"),
        failed_checks=sum(not check.passed for check in contrast.validity.checks),
        findings_supported=verdicts.count("supported"),
        findings_refuted=verdicts.count("refuted"),
        failed_cells=len(contrast.failed),
        run=contrast.made_from.run[:DIGITS_OF_RUN] if contrast.made_from else None,
        qa=_workload_summary(contrast, "qa", decision_level),
        captioning=_workload_summary(contrast, "captioning", decision_level),
    )
    return Summary.model_validate(rounded(summary.model_dump()))


def _median_ms(contrast: WorkloadContrast, workload: Workload) -> float | None:
    p50_ms = contrast.latency[workload].p50_ms
    return p50_ms.value if p50_ms else None


def _workload_summary(
    contrast: WorkloadContrast, workload: Workload, decision_level: float
) -> WorkloadSummary:
    latency = contrast.latency[workload]
    frontier = contrast.frontiers[workload] if contrast.frontiers else None
    steepness = frontier.steepness if frontier else None
    return WorkloadSummary(
        p99_ms=latency.p99_ms.value if latency.p99_ms else None,
        preprocess_p50_ms=_median_preprocessing(contrast, workload),
        before_first_token_share=1 - contrast.stage_breakdown[workload]["decode"].share.value,
        reference_quality=reference_point(frontier).quality.value if frontier else None,
        steepness=steepness.value if steepness else None,
        best_setting=best_at(decision_level, frontier).label if frontier else None,
    )


def _median_preprocessing(contrast: WorkloadContrast, workload: Workload) -> float | None:
    median = contrast.preprocessing[workload].p50_ms if contrast.preprocessing else None
    return median.value if median else None


def rounded(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """The same JSON value, with numbers rounded to `DIGITS` significant digits.

    Whole numbers stay as they are.
    """
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
