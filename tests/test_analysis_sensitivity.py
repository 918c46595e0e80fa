from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from analysed import evidence_of, scored
from simulated import World

from m1.analysis.draws.confidence import Confidence
from m1.analysis.latency.sensitivity import Move, sensitivity_point
from m1.schemas.profile import STAGES
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import KNOBS, Knob, Setting

QUIET = World(
    n_images=10,
    e1_requests=2,
    e2_requests=8,
    observer_requests=0,
    stage_noise=0.0,
)


def moves_of(
    world: World, workload: Workload, *, quality: bool = True
) -> Mapping[Knob, Sequence[Move]]:
    return evidence_of(world, quality=quality)[workload].moves


@pytest.mark.parametrize("workload", WORKLOADS)
def test_moves_are_the_true_changes(workload: Workload) -> None:
    reference = QUIET.stage_ms(workload, QUIET.grid[0])
    total = sum(reference.values())
    for knob, moves in moves_of(QUIET, workload).items():
        assert [move.value for move in moves] == list(getattr(QUIET, knob)[1:])
        for move in moves:
            setting = QUIET.grid[0].model_copy(update={knob: move.value})
            truth = QUIET.stage_ms(workload, setting)
            changes = [100 * (truth[s] - reference[s]) / total for s in STAGES]
            # Without noise between rows the change is the same in every resample.
            np.testing.assert_allclose(move.latency_percent, sum(changes))
            np.testing.assert_allclose(move.stage_percent, [changes] * 201, atol=1e-9)


def test_main_effect_is_averaged_over_the_whole_grid() -> None:
    for move in moves_of(QUIET, "qa")["active_blocks"]:
        ratios = [
            total_ms(Setting(vision_tokens=v, top_k=k, active_blocks=move.value))
            / total_ms(Setting(vision_tokens=v, top_k=k, active_blocks=8))
            for v in QUIET.vision_tokens
            for k in QUIET.top_k
        ]
        expected = 100 * (np.mean(ratios) - 1)
        np.testing.assert_allclose(move.main_effect_percent, expected)
        assert abs(expected - move.latency_percent[0]) > 0.5


def total_ms(setting: Setting) -> float:
    return sum(QUIET.stage_ms("qa", setting).values())


def test_quality_changes_in_percent_of_the_reference() -> None:
    rows = scored(QUIET)["qa"]
    means = rows.groupby(list(KNOBS))["quality"].mean()
    (move, _) = moves_of(QUIET, "qa")["vision_tokens"]
    expected = 100 * (means[(36, 4, 8)] / means[(144, 4, 8)] - 1)
    assert move.quality_percent is not None
    assert move.quality_percent[0] == pytest.approx(expected)


def test_without_quality_latency_moves_are_the_same() -> None:
    for (move, *_), (other, *_) in zip(
        moves_of(QUIET, "qa").values(), moves_of(QUIET, "qa", quality=False).values(), strict=True
    ):
        assert other.quality_percent is None
        point = sensitivity_point(other, Confidence(0.95))
        assert point.quality_change_percent is None
        np.testing.assert_allclose(move.latency_percent, other.latency_percent)


def test_points_carry_values_and_intervals() -> None:
    noisy = replace(QUIET, stage_noise=0.1)
    (move, *_) = moves_of(noisy, "captioning")["active_blocks"]
    point = sensitivity_point(move, Confidence(0.95))
    change = point.latency_change_percent
    assert change.low < change.value < change.high < 0
    assert list(point.stage_change_percent) == list(STAGES)
    parts = sum(stage.value for stage in point.stage_change_percent.values())
    assert parts == pytest.approx(change.value)


def test_a_knob_with_one_value_has_no_moves() -> None:
    world = replace(QUIET, top_k=(None,), vision_tokens=(144,))
    moves = moves_of(world, "qa")
    assert (moves["top_k"], moves["vision_tokens"]) == ((), ())
    assert [move.value for move in moves["active_blocks"]] == [6, 4]
