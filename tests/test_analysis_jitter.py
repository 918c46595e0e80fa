"""Jitter and heterogeneity are distinguished, in the middle and in the tail."""

from dataclasses import replace

import numpy as np
import pytest
from analysed import make_analysis, measured, of_experiment
from simulated import World, simulate_rows

from m1.analysis.experiments import E1
from m1.analysis.latency.jitter import cause
from m1.analysis.latency.stages import make_stage_result
from m1.machine_course import table_of_times
from m1.profiling.checks.speed import jitter
from m1.schemas.results.estimates import Variation

WORLD = World(n_images=300, e1_requests=300, e2_requests=0, observer_requests=0, anchor_requests=3)


def variation(world, slow_share=0.0) -> Variation:
    """The variation of question answering, if a share of all rows takes twice as long."""
    rows = measured(world)
    slow = np.random.default_rng(5).random(len(rows)) < slow_share
    rows["total_ms"] = rows["total_ms"] * np.where(slow, 2.0, 1.0)
    e1, repeats = of_experiment(rows, "e1"), of_experiment(rows, "anchor")
    result = make_stage_result(E1.of(e1, make_analysis(), repeats), world.grid[0])
    found = result.latency["qa"].variation
    assert found is not None
    return found


def test_different_requests_on_a_steady_machine() -> None:
    found = variation(replace(WORLD, image_spread=0.2, stage_noise=0.01))
    assert (found.n_requests, found.n_measurements) == (3, 60)
    assert found.between_requests == pytest.approx(0.2, rel=0.2)
    assert found.jitter < 0.02
    assert found.request_share > 0.95
    assert found.tail_cause == {"p95_ms": "requests", "p99_ms": "requests"}


def test_the_validity_of_a_run_uses_the_same_jitter() -> None:
    found = variation(replace(WORLD, n_trials=9))
    rows = table_of_times(simulate_rows(0, replace(WORLD, n_trials=9)))
    assert jitter(rows, "qa") == found.jitter


def test_alike_requests_on_an_unsteady_machine() -> None:
    found = variation(replace(WORLD, image_spread=0.0, stage_noise=0.3, anchor_requests=10))
    assert found.request_share < 0.2
    assert found.jitter > found.between_requests
    assert found.tail_cause == {"p95_ms": "machine", "p99_ms": "machine"}


def test_interruptions_make_the_tail_but_not_the_middle() -> None:
    found = variation(replace(WORLD, image_spread=0.1, stage_noise=0.01), slow_share=0.08)
    assert found.request_share > 0.9
    assert found.tail_cause["p95_ms"] == found.tail_cause["p99_ms"] == "machine"


def test_a_percentile_that_is_not_available_has_no_cause() -> None:
    assert set(variation(replace(WORLD, e1_requests=100)).tail_cause) == {"p95_ms"}


def test_few_repeats_do_not_show_the_cause_of_a_tail() -> None:
    found = variation(replace(WORLD, n_trials=5))
    assert (found.n_measurements, found.tail_cause) == (15, {})


def test_nothing_is_reported_without_repeats() -> None:
    rows = measured(WORLD)
    repeats = of_experiment(rows, "anchor")
    once = repeats.drop_duplicates("request_id")
    assert len(once) == 2 * 3
    for some in (repeats[:0], once):
        e1 = of_experiment(rows, "e1")
        result = make_stage_result(E1.of(e1, make_analysis(), some), WORLD.grid[0])
        assert result.latency["qa"].variation is None


@pytest.mark.parametrize(("by_jitter", "blamed"), [(0.0708, "machine"), (0.0706, "requests")])
def test_the_cause_changes_at_half_of_the_squared_distance(by_jitter, blamed) -> None:
    # Half of 0.1 squared is 0.0707 squared.
    assert cause(by_jitter, observed=0.1) == blamed
