"""E1: the distribution of latency, and the share of each stage, at the reference setting."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.bootstrap import Draws, Resamples, resamples_of
from m1.analysis.cells import STAGE_COLUMNS, rows_of
from m1.analysis.intervals import estimate
from m1.analysis.jitter import variation_of
from m1.analysis.percentiles import estimate_percentiles, too_small_for, upper_bounds
from m1.analysis.preprocessing import describe_preprocessing
from m1.params import AnalysisParams
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import STAGES, Stage
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, LatencyDistribution, StageEstimate, StageResult
from m1.schemas.settings import Setting


@dataclass(frozen=True)
class StageDraws:
    """E1 of one workload in every draw."""

    mean_ms: Draws
    """Mean time of each stage [n_draws, n_stages]."""
    share: Draws
    """Share of each stage in the sum of all [n_draws, n_stages]."""


def make_stage_result(
    rows: pd.DataFrame,
    reference: Setting,
    analysis: AnalysisParams,
    repeats: pd.DataFrame | None = None,
    made_from: MadeFrom | None = None,
) -> StageResult:
    """Break E1 down into stages.

    Args:
        rows: measured rows of E1.
        reference: the setting of these rows.
        analysis: resamples and confidence.
        repeats: rows of the requests that every trial measured again, at the same setting.
        made_from: the fingerprints of rows and parameters.

    Raises:
        UserError: if a workload has no rows.
    """
    confidence, resamples = analysis.confidence, resamples_of(rows, analysis)
    parts = {w: (rows_of(w, rows), resamples[w]) for w in WORKLOADS}
    return StageResult(
        reference=reference,
        stage_breakdown={
            w: stage_breakdown(draw_stages(*part), confidence) for w, part in parts.items()
        },
        latency={
            w: latency_distribution(*part, confidence, _of_workload(w, repeats))
            for w, part in parts.items()
        },
        mean_output_tokens={w: mean_output_tokens(*part, confidence) for w, part in parts.items()},
        preprocessing={w: describe_preprocessing(*part, confidence) for w, part in parts.items()},
        made_from=made_from,
    )


def _of_workload(workload: Workload, repeats: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if repeats is None else repeats[repeats["workload"] == workload]


def draw_stages(rows: pd.DataFrame, resamples: Resamples) -> StageDraws:
    """Mean time and share of each stage; shares sum to 1 in every draw."""
    stages = rows[STAGE_COLUMNS].to_numpy(dtype=np.float64)
    mean_ms = resamples.mean(stages, list(rows["image_id"]))
    return StageDraws(mean_ms, mean_ms / mean_ms.sum(axis=1, keepdims=True))


def stage_breakdown(draws: StageDraws, confidence: float) -> dict[Stage, StageEstimate]:
    """Each stage's mean time and share, with intervals."""
    return {
        stage: StageEstimate(
            mean_ms=estimate(draws.mean_ms[:, i], confidence),
            share=estimate(draws.share[:, i], confidence),
        )
        for i, stage in enumerate(STAGES)
    }


def mean_output_tokens(rows: pd.DataFrame, resamples: Resamples, confidence: float) -> Estimate:
    """Mean number of tokens written."""
    tokens = rows[["n_output_tokens"]].to_numpy(dtype=np.float64)
    return estimate(resamples.mean(tokens, list(rows["image_id"]))[:, 0], confidence)


def latency_distribution(
    rows: pd.DataFrame,
    resamples: Resamples,
    confidence: float,
    repeats: pd.DataFrame | None = None,
) -> LatencyDistribution:
    """Mean and percentiles of latency. A percentile is left out if the sample is too small for it.

    Args:
        rows: measured rows of E1 of one workload.
        resamples: draws of their clusters.
        confidence: confidence of every interval and bound.
        repeats: rows of requests that were measured several times.
    """
    total_ms, images = rows["total_ms"].to_numpy(dtype=np.float64), list(rows["image_id"])
    percentiles = estimate_percentiles(total_ms, images, resamples, confidence)
    mean_ms = estimate(resamples.mean(total_ms[:, None], images)[:, 0], confidence)
    return LatencyDistribution(
        n=len(rows),
        mean_ms=mean_ms,
        not_available=too_small_for(len(rows), confidence),
        upper_bound_ms=upper_bounds(list(total_ms), confidence),
        variation=None if repeats is None else variation_of(total_ms, repeats, percentiles),
        **percentiles,
    )
