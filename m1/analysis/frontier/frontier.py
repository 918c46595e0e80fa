"""E2: the frontier of quality and latency of one workload."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from m1.analysis.cells import make_scored_cells, make_timed_cells, rows_of
from m1.analysis.draws.bootstrap import draw_samples
from m1.analysis.draws.intervals import estimate, estimate_if_defined, estimate_of_extreme
from m1.analysis.frontier.coupling import find_coupling
from m1.analysis.frontier.dominance import LEAST_AREA, REFERENCE_POINT, hypervolume, on_frontier
from m1.analysis.frontier.scoring import QUALITY_METRICS, best_accuracy, further_quality
from m1.analysis.frontier.trade_off import TradeOff, draw_trade_off
from m1.errors import UserError
from m1.params import AnalysisParams
from m1.schemas.requests import RequestSet, Workload
from m1.schemas.results import BestSetting, Frontier, FrontierPoint, SampleSize, SingleKnobFrontier
from m1.schemas.settings import KNOBS, Knob, Setting


def find_frontier(
    rows: pd.DataFrame,
    answers: pd.DataFrame,
    scores: pd.DataFrame,
    requests: RequestSet,
    grid: Sequence[Setting],
    analysis: AnalysisParams,
) -> Frontier:
    """Find the frontier of one workload.

    Args:
        rows: measured rows of E2 of both workloads, because both share their resamples.
        answers: answers to both workloads, for the same reason.
        scores: the scored answers of the workload.
        requests: the workload's requests.
        grid: all settings, the reference first.
        analysis: resamples, confidence, latency statistic and levels.
    """
    workload = requests.workload
    timed = make_timed_cells(workload, rows_of(workload, rows), grid)
    scored = make_scored_cells(workload, scores, grid)
    resamples = draw_samples(rows, answers, analysis)
    trade_off = draw_trade_off(timed, scored, resamples, analysis.latency_statistic)
    sizes = resamples.size_of(timed.images), resamples.size_of(scored.images)
    further = further_quality(scores, requests)
    frontier = make_frontier(workload, sizes, trade_off, further, analysis)
    return frontier.model_copy(update={"quality_ceiling": best_accuracy(scores, requests)})


def make_frontier(
    workload: Workload,
    sizes: tuple[SampleSize, SampleSize],
    trade_off: TradeOff,
    further: Mapping[str, dict[str, float]],
    analysis: AnalysisParams,
) -> Frontier:
    """Assemble the frontier of one workload.

    Args:
        workload: the workload.
        sizes: the sizes of its timed and of its scored sample.
        trade_off: latency and quality in every draw, from both samples.
        further: scores of all outputs of a setting together, by the label of the setting.
        analysis: latency statistic and levels.
    """
    confidence = trade_off.confidence
    area = hypervolume(trade_off.latency_fraction, trade_off.quality_fraction)
    return Frontier(
        workload=workload,
        latency_statistic=analysis.latency_statistic,
        quality_metric=QUALITY_METRICS[workload],
        timed=sizes[0],
        scored=sizes[1],
        reference=trade_off.settings[0],
        points=_points(trade_off, further),
        hypervolume=estimate_of_extreme(area, confidence, LEAST_AREA),
        hypervolume_reference_point=REFERENCE_POINT,
        steepness=estimate_if_defined(trade_off.steepness, confidence),
        best_settings=tuple(_best_setting(trade_off, level) for level in analysis.quality_levels),
        single_knob=_single_knob_frontiers(trade_off),
        coupling=find_coupling(trade_off),
    )


def _points(
    trade_off: TradeOff, further: Mapping[str, dict[str, float]]
) -> tuple[FrontierPoint, ...]:
    confidence = trade_off.confidence
    frontier = on_frontier(trade_off.latency_ms, trade_off.quality)
    shares = confidence.resampled(frontier).mean(axis=0)
    latency_fraction, quality_fraction = trade_off.latency_fraction, trade_off.quality_fraction
    return tuple(
        FrontierPoint(
            setting=setting,
            label=setting.label,
            latency_ms=estimate(trade_off.latency_ms[:, i], confidence),
            quality=estimate(trade_off.quality[:, i], confidence),
            latency_fraction=estimate(latency_fraction[:, i], confidence),
            quality_fraction=estimate(quality_fraction[:, i], confidence),
            on_frontier=bool(frontier[0, i]),
            frontier_share=float(shares[i]),
            cut_share=estimate(trade_off.cut_share[:, i], confidence),
            further_quality=further.get(setting.label, {}),
        )
        for i, setting in _fastest_first(trade_off)
    )


def _fastest_first(trade_off: TradeOff) -> list[tuple[int, Setting]]:
    order = np.argsort(trade_off.latency_ms[0], kind="stable")
    return [(int(i), trade_off.settings[i]) for i in order]


def _best_setting(trade_off: TradeOff, level: float) -> BestSetting:
    """The fastest setting that keeps a share of reference quality on the sample."""
    best = trade_off.best(level)
    setting = trade_off.settings[best[0]]
    return BestSetting(
        level=level,
        setting=setting,
        label=setting.label,
        latency_fraction=estimate(trade_off.latency_fraction[:, best[0]], trade_off.confidence),
        share_of_resamples=float((trade_off.confidence.resampled(best) == best[0]).mean()),
    )


def _single_knob_frontiers(trade_off: TradeOff) -> tuple[SingleKnobFrontier, ...]:
    """The frontier of every knob that has more than one value."""
    alone = {knob: trade_off.moving(knob) for knob in KNOBS}
    return tuple(
        _single_knob_frontier(knob, moving)
        for knob, moving in alone.items()
        if len(moving.settings) > 1
    )


def _single_knob_frontier(knob: Knob, moving: TradeOff) -> SingleKnobFrontier:
    frontier = on_frontier(moving.latency_ms[:1], moving.quality[:1])[0]
    area = hypervolume(moving.latency_fraction, moving.quality_fraction)
    labels = (setting.label for i, setting in _fastest_first(moving) if frontier[i])
    return SingleKnobFrontier(
        knob=knob,
        labels=tuple(labels),
        hypervolume=estimate_of_extreme(area, moving.confidence, LEAST_AREA),
    )


def reference_point(frontier: Frontier) -> FrontierPoint:
    """The reference setting on a frontier."""
    return next(point for point in frontier.points if point.setting == frontier.reference)


def best_at(level: float, frontier: Frontier) -> BestSetting:
    """The fastest setting at one of a frontier's levels of quality.

    Raises:
        UserError: if the frontier has none at that level.
    """
    for best in frontier.best_settings:
        if best.level == level:
            return best
    raise UserError(
        f"{frontier.workload}: the frontier has no best setting at level {level:g}: "
        "find it again (`dvc repro pareto`)"
    )
