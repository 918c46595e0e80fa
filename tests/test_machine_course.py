"""The machine's course is found from its anchors, and taken out of ratios."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysed import make_analysis
from simulated import World, simulate_rows, simulate_run

from m1.analysis.contrast.evidence import gather_evidence
from m1.analysis.contrast.timed_results import make_timed_results
from m1.analysis.experiments import Experiments
from m1.analysis.latency.stages import make_stage_result
from m1.analysis.milliseconds import Milliseconds
from m1.machine_course import course_of, table_of_times
from m1.schemas.profile import Check, MeasuredRequest, Validity
from m1.schemas.requests import WORKLOADS

WORLD = World(
    n_images=60, e1_requests=60, e2_requests=20, anchor_requests=4, stage_noise=0.02, n_trials=30
)
FIRST = ("vision_ms", "projector_ms", "prefill_ms")
UP_TO_SLOW = 1.5


def slower(row: MeasuredRequest, first_token: float, decode: float) -> MeasuredRequest:
    if not row.marked:
        return row
    times = {name: getattr(row, name) * first_token for name in FIRST}
    times["decode_ms"] = (row.decode_ms or 0.0) * decode
    return row.model_copy(update=times | {"total_ms": sum(times.values())})


def drifted(rows: list[MeasuredRequest]) -> list[MeasuredRequest]:
    """Decode becomes half as slow again during the run, the time to first token a quarter."""
    share = {trial: trial / (WORLD.n_trials - 1) for trial in range(WORLD.n_trials)}
    most = UP_TO_SLOW - 1
    return [
        slower(row, 1 + most / 2 * share[row.trial], 1 + most * share[row.trial]) for row in rows
    ]


def test_the_course_follows_the_machine_in_both_parts_of_a_request() -> None:
    course = course_of(table_of_times(drifted(simulate_rows(1, WORLD))))
    trials = np.arange(WORLD.n_trials) / (WORLD.n_trials - 1)
    for part, most in ((course.first_token, 0.25), (course.decode, 0.5)):
        truth = (1 + most * trials) / (1 + most / 2)
        assert np.abs(part.to_numpy() / truth - 1).max() < 0.03
        assert part.mean() == pytest.approx(1)


def test_without_its_course_a_run_is_as_at_constant_speed() -> None:
    calm = simulate_rows(1, WORLD)
    before, slow = (table_of_times(rows) for rows in (calm, drifted(calm)))
    after = course_of(slow).without(slow)
    late = before["trial"] >= WORLD.n_trials - 5
    for column in (*FIRST, "decode_ms", "total_ms"):
        ratio = after[column] / before[column]
        assert ratio[late].mean() / ratio[~late].mean() == pytest.approx(1, abs=0.03)
    stages = after[[*FIRST, "decode_ms"]].sum(axis=1)
    assert np.allclose(stages[after["marked"]], after["total_ms"][after["marked"]])


def test_without_anchors_nothing_changes() -> None:
    rows = table_of_times(simulate_rows(1, replace(WORLD, anchor_requests=0)))
    pd.testing.assert_frame_equal(course_of(rows).without(rows), rows)


def test_every_anchor_counts_equally_however_long_it_takes() -> None:
    """A long anchor that is twice as slow in half of the trials, beside a short one that is not."""
    late = np.arange(40) >= 20
    anchors = pd.concat(
        pd.DataFrame(
            {
                "experiment": "anchor", "workload": "qa", "request_id": name, "trial": range(40),
                "marked": True, "n_output_tokens": 1, "decode_ms": 0.0, "total_ms": times,
            }
        )
        for name, times in (("long", 900.0 * (1 + late)), ("short", np.full(40, 1.0)))
    )  # fmt: skip
    course = course_of(anchors)
    # Of the long one 2/3 and 4/3 of its mean, of the short one 1 and 1.
    assert course.first_token.iloc[0] == pytest.approx(5 / 6)
    assert course.first_token.iloc[-1] == pytest.approx(7 / 6)
    assert course.thirds() == pytest.approx((5 / 6, 7 / 6), rel=0.02)
    assert (course.decode == 1).all()


def test_a_single_slow_anchor_moves_the_course_little() -> None:
    rows = simulate_rows(1, WORLD)
    place = next(i for i, row in enumerate(rows) if row.experiment == "anchor")
    rows[place] = slower(rows[place], 3, 3)
    course = course_of(table_of_times(rows))
    assert max(course.first_token.max(), course.decode.max()) < 1.15


# Ratios and milliseconds of a run that drifts


def experiments_of(rows: list[MeasuredRequest]) -> Experiments:
    table = pd.DataFrame([row.model_dump() for row in rows])
    return Experiments.of(simulate_run(WORLD), table, None, make_analysis())


@pytest.fixture(scope="module")
def constant() -> Experiments:
    """A machine that always has the mean speed of the drifting one."""
    most = UP_TO_SLOW - 1
    return experiments_of(
        [slower(row, 1 + most / 4, 1 + most / 2) for row in simulate_rows(1, WORLD)]
    )


@pytest.fixture(scope="module")
def drifting() -> Experiments:
    return experiments_of(drifted(simulate_rows(1, WORLD)))


def test_changes_by_knobs_are_those_at_constant_speed(constant, drifting) -> None:
    both = [gather_evidence(run.e1, run.e2, make_analysis()) for run in (constant, drifting)]
    for workload in WORKLOADS:
        before, after = (
            [move.latency_percent for moves in of[workload].moves.values() for move in moves]
            for of in both
        )
        for truth, found in zip(before, after, strict=True):
            assert found[0] == pytest.approx(truth[0], abs=0.4)
            assert found[1:].std() < 1.3 * truth[1:].std() + 0.1


FAILED_DRIFT = Check(
    name="drift", value=0.5, threshold=0.1, passed=False, detail="", spoils="milliseconds"
)


@pytest.fixture(scope="module")
def spread(drifting) -> Milliseconds:
    return Milliseconds.of(Validity.of((FAILED_DRIFT,)), drifting.course)


def test_milliseconds_hold_the_drift_only_if_a_check_says_so(drifting, spread) -> None:
    reference = simulate_run(WORLD).reference
    result = make_stage_result(drifting.e1, reference)
    assert Milliseconds.of(Validity.of(()), drifting.course).widened(result) == result
    wide = spread.widened(result)
    for workload in WORKLOADS:
        mean, measured = wide.latency[workload].mean_ms, result.latency[workload].mean_ms
        e1 = drifting.e1.rows[workload]
        for third in np.array_split(np.arange(WORLD.n_trials), 3):
            assert mean.low < e1[e1["trial"].isin(third)]["total_ms"].mean() < mean.high
        fastest, slowest = drifting.course.thirds()
        assert (mean.low, mean.high) == (measured.low * fastest, measured.high * slowest)
        assert mean.value == measured.value
        for stage, own in wide.stage_breakdown[workload].items():
            unchanged = result.stage_breakdown[workload][stage]
            assert own.share == unchanged.share
            assert own.mean_ms.high > unchanged.mean_ms.high
        assert wide.mean_output_tokens == result.mean_output_tokens


def test_milliseconds_that_are_saved_and_multiples_of_floors_hold_the_drift(
    drifting, spread
) -> None:
    result = make_timed_results(drifting, simulate_run(WORLD))
    wide = spread.widened(result)
    assert wide.sizes == result.sizes
    for workload in WORKLOADS:
        splits = result.decode_split[workload], wide.decode_split[workload]
        before, after = (split.settings[0] for split in splits)
        assert before.ms.speed.high < 0  # fewer blocks save time
        assert after.ms.speed.low < before.ms.speed.low
        assert after.ms.speed.high > before.ms.speed.high
        assert after.percent == before.percent
        floors = (cells[workload][0].stages["decode"] for cells in (result.roofline, wide.roofline))
        before_floor, after_floor = (stage.over_floor for stage in floors)
        assert after_floor.high > before_floor.high
