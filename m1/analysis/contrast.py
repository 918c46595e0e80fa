"""M1: the contrast of both workloads, assembled from E1 and E2."""

from collections.abc import Mapping

from m1.analysis.answers import make_answers
from m1.analysis.evidence import Evidence
from m1.analysis.findings import judge_expectations
from m1.analysis.frontiers import best_at
from m1.analysis.sensitivity import sensitivity_point
from m1.params import AnalysisParams
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier, SensitivityPoint, StageResult, WorkloadContrast
from m1.schemas.settings import Knob


def make_contrast(
    run: ProfileRun,
    stages: StageResult,
    frontiers: Mapping[Workload, Frontier],
    evidence: Mapping[Workload, Evidence],
    analysis: AnalysisParams,
) -> WorkloadContrast:
    """Contrast the workloads.

    Args:
        run: what was measured, and whether it may be believed.
        stages: E1.
        frontiers: E2, the frontier of each workload.
        evidence: draws from the same rows.
        analysis: confidence and decision level.

    Raises:
        UserError: if the frontiers were made with other levels.
    """
    findings = judge_expectations(evidence["qa"], evidence["captioning"], analysis.confidence)
    best = {w: best_at(analysis.decision_level, frontiers[w]) for w in WORKLOADS}
    return WorkloadContrast(
        provenance=run.provenance,
        validity=run.validity,
        reference=run.reference,
        confidence=analysis.confidence,
        stage_breakdown=stages.stage_breakdown,
        latency=stages.latency,
        mean_output_tokens=stages.mean_output_tokens,
        frontiers=dict(frontiers),
        optimal_settings={w: frontiers[w].best_settings for w in WORKLOADS},
        sensitivity={w: _sensitivity(evidence[w], analysis.confidence) for w in WORKLOADS},
        findings=tuple(findings),
        answers=make_answers(stages, best, frontiers, findings),
    )


def _sensitivity(evidence: Evidence, confidence: float) -> dict[Knob, tuple[SensitivityPoint, ...]]:
    return {
        knob: tuple(sensitivity_point(move, confidence) for move in moves)
        for knob, moves in evidence.moves.items()
    }
