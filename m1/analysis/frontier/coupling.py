"""E2: how the frontier over some knobs depends on the value of another."""

from collections.abc import Sequence

import numpy as np

from m1.analysis.draws.confidence import Draws
from m1.analysis.draws.intervals import estimate, estimate_of_extreme
from m1.analysis.frontier.dominance import LEAST_AREA, hypervolume, latency_shift, on_frontier
from m1.analysis.frontier.trade_off import TradeOff
from m1.schemas.results.coupling import Coupling, FixedKnob
from m1.schemas.settings import KNOBS, Knob

Places = Sequence[int]


def find_coupling(trade_off: TradeOff) -> Coupling:
    """Compare the whole grid with parts of it: one knob fixed, or only one knob moving.

    Args:
        trade_off: latency and quality of every setting of a workload in every draw.
    """
    confidence = trade_off.confidence
    varied = [knob for knob in KNOBS if len(_places_by_value(trade_off, knob)) > 1]
    joint = hypervolume(trade_off.latency_fraction, trade_off.quality_fraction)
    alone = {knob: _area_alone(trade_off.moving(knob)) for knob in varied}
    largest_first = sorted(varied, key=lambda knob: -alone[knob][0])
    return Coupling(
        fixed={knob: _fixed_knobs(trade_off, knob) for knob in varied},
        joint_gains={
            knob: estimate_of_extreme(joint - area, confidence, LEAST_AREA)
            for knob, area in alone.items()
        },
        best_single_knob=largest_first[0] if varied else None,
        joint_gain=estimate_of_extreme(
            joint - np.max(list(alone.values()), axis=0), confidence, LEAST_AREA
        )
        if varied
        else None,
    )


def _places_by_value(trade_off: TradeOff, knob: Knob) -> dict[int, list[int]]:
    """The settings at each value of a knob, the reference value first."""
    found: dict[int, list[int]] = {}
    for i, setting in enumerate(trade_off.settings):
        found.setdefault(getattr(setting, knob), []).append(i)
    return found


def _area_alone(moving: TradeOff) -> Draws:
    return hypervolume(moving.latency_fraction, moving.quality_fraction)


def _fixed_knobs(trade_off: TradeOff, knob: Knob) -> tuple[FixedKnob, ...]:
    confidence = trade_off.confidence
    by_value = _places_by_value(trade_off, knob)
    sides = {value: _fractions(trade_off, places) for value, places in by_value.items()}
    areas = {value: hypervolume(*side) for value, side in sides.items()}
    reference = next(iter(by_value))
    return tuple(
        FixedKnob(
            value=value,
            labels=_frontier_labels(trade_off, places),
            hypervolume=estimate_of_extreme(areas[value], confidence, LEAST_AREA),
            hypervolume_change=estimate_of_extreme(areas[value] - areas[reference], confidence),
            latency_shift=estimate(latency_shift(sides[value], sides[reference]), confidence),
        )
        for value, places in by_value.items()
    )


def _fractions(trade_off: TradeOff, places: Places) -> tuple[Draws, Draws]:
    """Latency and quality of some settings, as fractions of the whole grid's reference."""
    return trade_off.latency_fraction[:, places], trade_off.quality_fraction[:, places]


def _frontier_labels(trade_off: TradeOff, places: Places) -> tuple[str, ...]:
    """The settings on the sample's frontier, fastest first."""
    latency, quality = trade_off.latency_ms[:1, places], trade_off.quality[:1, places]
    kept = on_frontier(latency, quality)[0]
    order = np.argsort(latency[0], kind="stable")
    return tuple(trade_off.settings[places[i]].label for i in order if kept[i])
