"""What the findings rest on: E1 and E2 of both workloads, in draws that are paired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.bootstrap import Draws, resamples_of
from m1.analysis.cells import make_cells, rows_of
from m1.analysis.latency import draw_stages
from m1.analysis.sensitivity import Move, draw_moves
from m1.analysis.trade_off import TradeOff, draw_trade_off
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import KNOBS, Knob, Setting


@dataclass(frozen=True)
class Evidence:
    """What the findings are about, of one workload, in every draw."""

    stage_share: Draws
    """Share of each stage in latency at the reference setting [n_draws, n_stages]."""
    moves: Mapping[Knob, Sequence[Move]]
    """What each knob does, largest value first."""
    best_fraction: Mapping[Knob, Draws]
    """Each knob at the fastest good setting, as a fraction of the reference [n_draws]."""
    steepness: Draws
    """Share of quality lost per share of latency saved along the frontier [n_draws]."""


def best_fractions(trade_off: TradeOff, level: float) -> dict[Knob, Draws]:
    """Each knob at the fastest setting that keeps `level` of reference quality, over the reference.

    Knobs with one value are left out: there is nothing to prefer.
    """
    best = trade_off.best(level)
    values = {k: [getattr(setting, k) for setting in trade_off.settings] for k in KNOBS}
    return {k: (np.array(v) / v[0])[best] for k, v in values.items() if len(set(v)) > 1}


def gather_evidence(
    rows: pd.DataFrame,
    scores: Mapping[Workload, pd.DataFrame],
    grid: tuple[Setting, ...],
    analysis: AnalysisParams,
) -> dict[Workload, Evidence]:
    """Everything the findings are about, in draws that are paired between the workloads."""
    of_e1 = resamples_of(rows, analysis)
    of_e2 = resamples_of(pd.concat(scores.values()), analysis)
    evidence: dict[Workload, Evidence] = {}
    for w in WORKLOADS:
        cells = make_cells(w, scores[w], grid)
        trade_off = draw_trade_off(cells, of_e2[w], analysis.latency_statistic)
        evidence[w] = Evidence(
            stage_share=draw_stages(rows_of(w, rows), of_e1[w]).share,
            moves=draw_moves(cells, of_e2[w]),
            best_fraction=best_fractions(trade_off, analysis.decision_level),
            steepness=trade_off.steepness,
        )
    return evidence
