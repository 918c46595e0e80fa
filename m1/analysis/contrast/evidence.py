"""The numbers that findings are tested on: E1 and E2 of both workloads, in paired draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.experiments import E1, E2
from m1.analysis.frontier.trade_off import TradeOff, draw_trade_off
from m1.analysis.latency.sensitivity import Move, draw_moves
from m1.analysis.latency.stages import draw_stages
from m1.params import AnalysisParams, EffectKind
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SampleSize
from m1.schemas.settings import KNOBS, Knob


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
    confidence: Confidence
    """The confidence of intervals of these numbers."""


def gather_evidence(e1: E1, e2: E2, analysis: AnalysisParams) -> dict[Workload, Evidence]:
    """All numbers that findings are tested on, in draws that pair the workloads.

    Args:
        e1: the requests of E1.
        e2: the requests of E2.
        analysis: latency statistic and decision level.
    """
    evidence: dict[Workload, Evidence] = {}
    for w in WORKLOADS:
        reference, timed = e1.steady[w], e2.timed[w]
        scored = e2.scored[w] if e2.scored else None
        trade_off = scored and draw_trade_off(
            timed, scored, e2.resamples, analysis.latency_statistic
        )
        samples = (
            e1.resamples.size_of(list(reference["image_id"])),
            e2.resamples.size_of(timed.images),
            e2.resamples.size_of(scored.images) if scored else None,
        )
        evidence[w] = Evidence(
            stage_share=draw_stages(reference, e1.resamples).share,
            moves=draw_moves(timed, e2.resamples, trade_off.quality if trade_off else None),
            quality=_of_quality(trade_off, analysis.decision_level) if trade_off else None,
            n_clusters=_n_clusters(*samples),
            confidence=e2.resamples.confidence,
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
    return QualityEvidence(_best_fractions(trade_off, level), trade_off.steepness)


def _best_fractions(trade_off: TradeOff, level: float) -> dict[Knob, Draws]:
    """Each knob at the fastest setting that keeps `level` of reference quality.

    Values are fractions of the knob's reference value. Knobs with one value are left out, since
    there is nothing to choose.
    """
    best = trade_off.best(level)
    values = {k: [getattr(setting, k) for setting in trade_off.settings] for k in KNOBS}
    return {k: (np.array(v) / v[0])[best] for k, v in values.items() if len(set(v)) > 1}
