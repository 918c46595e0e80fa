"""M1: the contrast of both workloads, made from E1 and E2."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from m1.analysis.contrast.evidence import Evidence
from m1.analysis.contrast.findings import judge_expectations, list_not_tested
from m1.analysis.contrast.key_questions import answer_key_questions
from m1.analysis.contrast.timed_results import TimedResults
from m1.analysis.frontier.frontier import reference_point
from m1.analysis.latency.sensitivity import sensitivity_points
from m1.params import AnalysisParams
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier, ParetoResult, StageResult, WorkloadContrast

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """The results that a contrast is put together from."""

    stages: StageResult
    """Results of E1, and what they were made from."""
    timed: TimedResults
    """Results of E2 about its timed requests."""
    pareto: Mapping[Workload, ParetoResult]
    """Results of E2: the frontier of each workload."""
    evidence: Mapping[Workload, Evidence]
    """Draws from the same rows."""


def make_contrast(
    run: ProfileRun, parts: Parts, analysis: AnalysisParams, cdf_fingerprint: str
) -> WorkloadContrast:
    """Contrast the workloads.

    Args:
        run: the record of the run, with its validity.
        parts: the results of E1 and E2.
        analysis: confidence and decision level.
        cdf_fingerprint: fingerprint of the plot data of latency.

    Raises:
        UserError: if the frontiers were made with other quality levels.
    """
    stages, timed, pareto, evidence = parts.stages, parts.timed, parts.pareto, parts.evidence
    findings = judge_expectations(
        evidence["qa"],
        evidence["captioning"],
        analysis,
        few_compilations=run.provenance.few_compilations(run.n_processes),
    )
    reason = why_no_quality(pareto)
    not_tested = list_not_tested(findings, evidence, reason, analysis.min_clusters)
    frontiers = of_both(pareto, lambda one: one.frontier)
    return WorkloadContrast(
        provenance=run.provenance,
        validity=run.validity,
        reference=run.reference,
        confidence=analysis.confidence,
        n_processes=run.n_processes,
        stage_breakdown=stages.stage_breakdown,
        latency=stages.latency,
        mean_output_tokens=stages.mean_output_tokens,
        preprocessing=stages.preprocessing,
        timed=timed.sizes,
        quality_not_available=reason,
        frontiers=frontiers,
        optimal_settings=_of_each(frontiers, lambda one: one.best_settings),
        cut_share=_of_each(frontiers, lambda one: reference_point(one).cut_share),
        agreement=of_both(pareto, lambda one: one.agreement),
        sensitivity={
            w: sensitivity_points(evidence[w].moves, evidence[w].confidence) for w in WORKLOADS
        },
        decode_split=timed.decode_split,
        device_rates=run.device_rates,
        roofline=timed.roofline,
        at_reference_length=timed.at_reference_length,
        findings=tuple(findings),
        not_tested=tuple(not_tested),
        answers=answer_key_questions(
            stages,
            {w: timed.decode_split[w].reference_ms_per_step for w in WORKLOADS},
            frontiers,
            reason,
            analysis.decision_level,
            findings,
            not_tested,
        ),
        failed=run.failed,
        made_from=stages.made_from,
        latency_cdf_fingerprint=cdf_fingerprint,
    )


def why_no_quality(pareto: Mapping[Workload, ParetoResult]) -> str | None:
    """Why quality cannot be contrasted; `None` if both workloads have it."""
    reasons = (pareto[w].quality_not_available for w in WORKLOADS)
    return next((reason for reason in reasons if reason), None)


def of_both(
    pareto: Mapping[Workload, ParetoResult], part: Callable[[ParetoResult], T | None]
) -> dict[Workload, T] | None:
    """A part of the results of both workloads; `None` if one of them lacks it."""
    parts = {w: result for w in WORKLOADS if (result := part(pareto[w])) is not None}
    return parts if len(parts) == len(WORKLOADS) else None


def _of_each(
    frontiers: Mapping[Workload, Frontier] | None, part: Callable[[Frontier], T]
) -> dict[Workload, T] | None:
    """A part of each frontier; `None` if there are no frontiers."""
    return {w: part(one) for w, one in frontiers.items()} if frontiers else None
