"""How frontiers move if one knob is fixed at another value."""

import numpy as np
import pytest
from analysed import frontier_in
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from simulated import World

from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.frontier.coupling import find_coupling
from m1.analysis.frontier.dominance import latency_needed, latency_shift
from m1.analysis.frontier.trade_off import TradeOff
from m1.schemas.settings import Setting

SIDES = st.integers(1, 6).flatmap(
    lambda n: st.tuples(*[arrays(np.float64, (3, n), elements=st.integers(1, 9))] * 2)
)


def side(*points: tuple[float, float]) -> tuple[Draws, Draws]:
    """Latency and quality of some settings, in a single draw."""
    latency, quality = np.array(points).T
    return latency[None], quality[None]


def trade_off(settings: dict[Setting, tuple[float, float]], n_draws: int = 100) -> TradeOff:
    """The same latency and quality in every draw."""
    values = np.array(list(settings.values()))
    latency, quality = (np.tile(column, (n_draws, 1)) for column in values.T)
    return TradeOff(tuple(settings), latency, quality, np.zeros_like(latency), Confidence(0.95))


# Two knobs: with few blocks, experts may go at no cost; with many they are worth their time.
KNOWN = {
    Setting(top_k=4, active_blocks=8): (100.0, 1.0),
    Setting(top_k=4, active_blocks=4): (60.0, 0.5),
    Setting(top_k=2, active_blocks=8): (80.0, 0.75),
    Setting(top_k=2, active_blocks=4): (50.0, 0.5),
}


def test_a_frontier_that_is_faster_everywhere_is_shifted_by_just_that() -> None:
    here = side((1.0, 0.9), (0.6, 0.5), (0.4, 0.2))
    assert latency_shift((here[0] - 0.1, here[1]), here) == pytest.approx([-0.1])
    assert latency_shift(here, here) == [0]


def test_the_shift_is_a_mean_over_the_qualities_that_both_reach() -> None:
    unmoved = side((1.0, 1.0), (0.5, 0.5))
    moved = side((0.9, 0.75), (0.3, 0.25))
    # From 0.25 to 0.5: 0.9 against 0.5. From 0.5 to 0.75: 0.9 against 1.0.
    assert latency_shift(moved, unmoved) == pytest.approx([(0.4 - 0.1) / 2])


def test_frontiers_that_share_one_quality_are_compared_there() -> None:
    assert latency_shift(side((0.7, 0.5)), side((0.4, 0.5))) == pytest.approx([0.3])


def test_dominated_settings_shift_nothing() -> None:
    here, worse = side((1.0, 1.0), (0.5, 0.5)), (0.8, 0.4)
    there = side((0.9, 0.9), (0.4, 0.4))
    more = side((1.0, 1.0), (0.5, 0.5), worse)
    assert latency_shift(there, more) == latency_shift(there, here)


def test_without_quality_in_a_draw_there_is_no_shift() -> None:
    latency, quality = np.ones((2, 2)), np.array([[1.0, 0.5], [np.nan, np.nan]])
    shift = latency_shift((latency, quality), (latency, quality))
    assert shift[0] == 0
    assert np.isnan(shift[1])


@given(SIDES, SIDES)
def test_the_shift_equals_that_of_many_levels(moved, unmoved) -> None:
    shift = latency_shift(moved, unmoved)
    assert latency_shift(unmoved, moved) == pytest.approx(-shift)
    for draw in range(3):
        sides = [(lat[draw : draw + 1], q[draw : draw + 1]) for lat, q in (moved, unmoved)]
        lowest = min(q[lat == lat.min()].max() for lat, q in sides)
        highest = min(q.max() for _, q in sides)
        steps = np.arange(lowest, highest) + 0.5 if highest > lowest else np.array([lowest])
        moved_ms, unmoved_ms = (latency_needed(steps[None], *one) for one in sides)
        assert shift[draw] == pytest.approx((moved_ms - unmoved_ms).mean())


def test_each_value_of_a_knob_has_the_frontier_of_its_own_settings() -> None:
    coupling = find_coupling(trade_off(KNOWN))
    assert set(coupling.fixed) == {"top_k", "active_blocks"}  # the third has no value to fix
    many, few = coupling.fixed["top_k"]
    assert (many.value, few.value) == (4, 2)
    assert many.labels == ("-/4/4", "-/4/8")
    assert few.labels == ("-/2/4", "-/2/8")
    # Budgets up to 1.05: half the quality from 0.6 on, all of it from 1.
    assert many.hypervolume.value == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)
    assert few.hypervolume.value == pytest.approx(0.5 * 0.55 + 0.25 * 0.25)
    assert few.hypervolume_change.value == pytest.approx(
        few.hypervolume.value - many.hypervolume.value
    )
    # Up to half the quality 0.5 against 0.6, from there to three quarters 0.8 against 1.
    assert few.latency_shift.value == pytest.approx(-0.2)


def test_at_its_reference_value_a_knob_moves_nothing() -> None:
    for values in find_coupling(trade_off(KNOWN)).fixed.values():
        for estimate in (values[0].hypervolume_change, values[0].latency_shift):
            assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_the_joint_grid_gains_on_the_best_single_knob() -> None:
    coupling = find_coupling(trade_off(KNOWN))
    joint = 0.5 * 0.55 + 0.25 * 0.25 + 0.25 * 0.05
    experts = 0.75 * 0.25 + 0.25 * 0.05
    blocks = 0.5 * 0.45 + 0.5 * 0.05
    assert coupling.best_single_knob == "active_blocks"
    assert coupling.joint_gains["top_k"].value == pytest.approx(joint - experts)
    assert coupling.joint_gains["active_blocks"].value == pytest.approx(joint - blocks)
    assert coupling.joint_gain == coupling.joint_gains["active_blocks"]


def test_a_grid_of_one_setting_has_nothing_to_couple() -> None:
    coupling = find_coupling(trade_off({Setting(): (10.0, 1.0)}))
    assert (coupling.fixed, coupling.joint_gains) == ({}, {})
    assert coupling.best_single_knob is coupling.joint_gain is None


def test_frontiers_carry_their_coupling_with_intervals() -> None:
    frontier = frontier_in(World(stage_noise=0.1, e2_requests=40), "qa")
    areas = {one.knob: one.hypervolume.value for one in frontier.single_knob}
    coupling = frontier.coupling
    for knob, gain in coupling.joint_gains.items():
        assert 0 < gain.low < gain.value < gain.high
        assert gain.value == pytest.approx(frontier.hypervolume.value - areas[knob])
    assert coupling.best_single_knob == max(areas, key=lambda knob: areas[knob])
    fewest = coupling.fixed["active_blocks"][-1].latency_shift
    assert fewest.low < fewest.value < fewest.high
