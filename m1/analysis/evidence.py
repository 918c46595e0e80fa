"""The numbers that findings are tested on: E1 and E2 of both workloads, in paired draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.bootstrap import Draws, resamples_of
from m1.analysis.cells import make_scored_cells, make_timed_cells, rows_of
from m1.analysis.latency import draw_stages
from m1.analysis.samples import draw_samples, size_of
from m1.analysis.sensitivity import Move, draw_moves
from m1.analysis.trade_off import TradeOff, draw_trade_off
from m1.params import AnalysisParams, EffectKind
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SampleSize
from m1.schemas.settings import KNOBS, Knob, Setting

Scores = Mapping[Workload, pd.DataFrame]


@dataclass(frozen=True)
class QualityEvidence:
    """The numbers for findings about the quality of one workload, in every draw."""

    best_fraction: Mapping[Knob, Draws]
    """Each knob at the fastest good setting, as a fraction of the reference [n_draws]."""
    steepness: Draws
    """Share of quality lost per share of latency saved [n_draws]."""


@dataclass(frozen=True)
class Evidence:
    """The numbers of one workload that findings are tested on, in every draw."""

    stage_share: Draws
    """Share of each stage in latency at the reference setting [n_draws, n_stages]."""
    moves: Mapping[Knob, Sequence[Move]]
    """The effects of each knob's values, largest value first."""
    quality: QualityEvidence | None
    """The numbers that need quality; `None` if outputs are no answers."""
    n_clusters: Mapping[EffectKind, int]
    """The number of clusters behind each kind of effect."""


def gather_evidence(
    e1: pd.DataFrame,
    e2: pd.DataFrame,
    scores: Scores | None,
    grid: tuple[Setting, ...],
    analysis: AnalysisParams,
) -> dict[Workload, Evidence]:
    """All numbers that findings are tested on, in draws that pair the workloads.

    Args:
        e1: measured rows of E1.
        e2: measured rows of E2.
        scores: each workload's scored answers; `None` if there are none.
        grid: all settings, the reference first.
        analysis: resamples, latency statistic and decision level.
    """
    of_e1 = resamples_of(e1, analysis)
    of_e2 = draw_samples(e2, pd.concat(scores.values()) if scores else None, analysis)
    evidence: dict[Workload, Evidence] = {}
    for w in WORKLOADS:
        reference = rows_of(w, e1)
        timed = make_timed_cells(w, rows_of(w, e2), grid)
        scored = make_scored_cells(w, scores[w], grid) if scores else None
        trade_off = scored and draw_trade_off(timed, scored, of_e2, analysis)
        samples = (
            size_of(list(reference["image_id"]), of_e1[w].clusters),
            size_of(timed.images, of_e2[w, "timed"].clusters),
            size_of(scored.images, of_e2[w, "scored"].clusters) if scored else None,
        )
        evidence[w] = Evidence(
            stage_share=draw_stages(reference, of_e1[w]).share,
            moves=draw_moves(timed, of_e2[w, "timed"], trade_off.quality if trade_off else None),
            quality=_of_quality(trade_off, analysis.decision_level) if trade_off else None,
            n_clusters=_n_clusters(*samples),
        )
    return evidence


def _n_clusters(
    e1: SampleSize, timed: SampleSize, scored: SampleSize | None
) -> dict[EffectKind, int]:
    both = min(timed.n_clusters, scored.n_clusters if scored else 0)
    return {
        "share": e1.n_clusters,
        "sensitivity": timed.n_clusters,
        "preference": both,
        "steepness": both,
    }


def _of_quality(trade_off: TradeOff, level: float) -> QualityEvidence:
    return QualityEvidence(best_fractions(trade_off, level), trade_off.steepness)


def best_fractions(trade_off: TradeOff, level: float) -> dict[Knob, Draws]:
    """Each knob at the fastest setting that keeps `level` of reference quality.

    Values are fractions of the knob's reference value. Knobs with one value are left out, since
    there is nothing to choose.
    """
    best = trade_off.best(level)
    values = {k: [getattr(setting, k) for setting in trade_off.settings] for k in KNOBS}
    return {k: (np.array(v) / v[0])[best] for k, v in values.items() if len(set(v)) > 1}
