"""E1: the distribution of latency, and the share of each stage, at the reference setting."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.cells import STAGE_COLUMNS
from m1.analysis.draws.bootstrap import Resamples
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate
from m1.analysis.experiments import E1
from m1.analysis.latency.jitter import variation_of
from m1.analysis.latency.percentiles import estimate_percentiles, too_small_for, upper_bounds
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import STAGES, Stage
from m1.schemas.results import (
    Estimate,
    LatencyDistribution,
    Preprocessing,
    StageEstimate,
    StageResult,
)
from m1.schemas.settings import Setting


def describe_preprocessing(rows: pd.DataFrame, resamples: Resamples) -> Preprocessing:
    """Mean, percentiles and parts of preprocessing.

    Args:
        rows: measured rows of E1 of one workload.
        resamples: draws of their clusters.
    """
    confidence = resamples.confidence
    images = list(rows["image_id"])
    # Earlier versions have no such column.
    columns = rows.reindex(columns=["preprocess_ms", "open_image_ms", "total_ms"])
    times = columns.to_numpy(dtype=np.float64)
    whole, opening, total = resamples.mean(times, images).T
    if np.isnan(times).any():  # opening was not timed, so the sum lacks it
        return Preprocessing(processor_ms=estimate(whole, confidence))
    percentiles = estimate_percentiles(times[:, 0], images, resamples)
    return Preprocessing(
        mean_ms=estimate(whole, confidence),
        p50_ms=percentiles["p50_ms"],
        p95_ms=percentiles["p95_ms"],
        relative_to_total=estimate(whole / total, confidence),
        open_image_ms=estimate(opening, confidence),
        processor_ms=estimate(whole - opening, confidence),
    )


@dataclass(frozen=True)
class StageDraws:
    """E1 of one workload in every draw."""

    mean_ms: Draws
    """Mean time of each stage [n_draws, n_stages]."""
    share: Draws
    """Share of each stage in the sum of all [n_draws, n_stages]."""


def make_stage_result(e1: E1, reference: Setting, made_from: MadeFrom | None = None) -> StageResult:
    """Break E1 down into stages.

    Args:
        e1: the requests of E1.
        reference: the setting of these requests.
        made_from: the fingerprints of rows and parameters.
    """
    drawn, repeats = e1.resamples, e1.repeats
    return StageResult(
        reference=reference,
        stage_breakdown={
            w: stage_breakdown(
                draw_stages(rows, drawn), draw_stages(e1.steady[w], drawn), drawn.confidence
            )
            for w, rows in e1.rows.items()
        },
        latency={
            w: latency_distribution(rows, drawn, repeats[w] if repeats else None)
            for w, rows in e1.rows.items()
        },
        mean_output_tokens={w: mean_output_tokens(rows, drawn) for w, rows in e1.rows.items()},
        preprocessing={w: describe_preprocessing(rows, drawn) for w, rows in e1.rows.items()},
        made_from=made_from,
    )


def draw_stages(rows: pd.DataFrame, resamples: Resamples) -> StageDraws:
    """Mean time and share of each stage; shares sum to 1 in every draw."""
    stages = rows[STAGE_COLUMNS].to_numpy(dtype=np.float64)
    mean_ms = resamples.mean(stages, list(rows["image_id"]))
    return StageDraws(mean_ms, mean_ms / mean_ms.sum(axis=1, keepdims=True))


def stage_breakdown(
    measured: StageDraws, steady: StageDraws, confidence: Confidence
) -> dict[Stage, StageEstimate]:
    """Each stage's mean time and share, with intervals.

    Args:
        measured: the times as measured.
        steady: the times without the course of the machine.
        confidence: of the intervals.
    """
    return {
        stage: StageEstimate(
            mean_ms=estimate(measured.mean_ms[:, i], confidence),
            share=estimate(steady.share[:, i], confidence),
        )
        for i, stage in enumerate(STAGES)
    }


def mean_output_tokens(rows: pd.DataFrame, resamples: Resamples) -> Estimate:
    """Mean number of tokens written."""
    tokens = rows[["n_output_tokens"]].to_numpy(dtype=np.float64)
    return estimate(resamples.mean(tokens, list(rows["image_id"]))[:, 0], resamples.confidence)


def latency_distribution(
    rows: pd.DataFrame, resamples: Resamples, repeats: pd.DataFrame | None = None
) -> LatencyDistribution:
    """Mean and percentiles of latency. A percentile is left out if the sample is too small for it.

    Args:
        rows: measured rows of E1 of one workload.
        resamples: draws of their clusters.
        repeats: rows of requests that were measured several times.
    """
    confidence = resamples.confidence
    total_ms, images = rows["total_ms"].to_numpy(dtype=np.float64), list(rows["image_id"])
    percentiles = estimate_percentiles(total_ms, images, resamples)
    mean_ms = estimate(resamples.mean(total_ms[:, None], images)[:, 0], confidence)
    return LatencyDistribution(
        n=len(rows),
        mean_ms=mean_ms,
        not_available=too_small_for(len(rows), confidence.share),
        upper_bound_ms=upper_bounds(list(total_ms), confidence.share),
        variation=None if repeats is None else variation_of(total_ms, repeats, percentiles),
        **percentiles,
    )
