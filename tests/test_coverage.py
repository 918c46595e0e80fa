"""Intervals contain the true value as often as they promise, in made-up runs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from analysed import make_analysis

from benchmarks.coverage import coverage, truth
from benchmarks.worlds import CoverageWorld
from m1.analysis.draws.bootstrap import draw_resamples
from m1.analysis.draws.clusters import of_images
from m1.analysis.draws.confidence import Confidence
from m1.analysis.draws.intervals import estimate

WORLD = CoverageWorld()
N_RUNS = 300
# What 300 runs show of a coverage of 93 to 97 %, all but three times in a thousand.
LOWEST, HIGHEST = 0.885, 0.9965
STATISTICS = (
    "mean latency",
    "median latency",
    "P95 of latency",
    "share of decode",
    "sensitivity to vision_tokens",
    "sensitivity to top_k",
    "sensitivity to active_blocks",
    "mean quality",
    "hypervolume",
    "steepness",
)


@cache
def covered() -> dict[str, float]:
    return coverage(WORLD, N_RUNS, make_analysis(n_resamples=300))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_intervals_contain_the_true_value_as_often_as_they_promise(statistic: str) -> None:
    assert LOWEST <= covered()[statistic] <= HIGHEST


def test_true_values_are_those_of_a_large_run() -> None:
    large = replace(WORLD, n_trials=4000)
    rows, timed, scored = large.simulate_e2(np.random.default_rng(1))
    e1, true = large.simulate_e1(np.random.default_rng(2)), truth(WORLD)
    assert rows["trial"].nunique() == 4000
    assert e1["total_ms"].mean() == pytest.approx(true["mean latency"], rel=0.02)
    assert e1["total_ms"].median() == pytest.approx(true["median latency"], rel=0.02)
    assert e1["total_ms"].quantile(0.95) == pytest.approx(true["P95 of latency"], rel=0.02)
    share = e1["decode_ms"].sum() / e1["total_ms"].sum()
    assert share == pytest.approx(true["share of decode"], abs=0.005)
    mean_ms = timed.total_ms.mean(axis=0)
    saved = 100 * (mean_ms[2] / mean_ms[0] - 1)
    assert saved == pytest.approx(true["sensitivity to active_blocks"], abs=0.5)
    assert scored.quality.mean(axis=0) == pytest.approx(WORLD.quality, abs=0.02)


def test_images_as_units_would_give_too_narrow_intervals() -> None:
    # This shows that the test above can fail: slow spells of trials have an effect.
    world = replace(WORLD, spell=0.5, per_trial=6, n_trials=30)
    mean_ms = world.mean_stage_ms.sum(axis=0)
    true, hits = mean_ms[-1] / mean_ms[0], {"image": 0, "trial": 0}
    for run in range(100):
        rows, timed, _ = world.simulate_e2(np.random.default_rng(run))
        trials = dict(zip(rows["image_id"], rows["trial"].astype(str), strict=True))
        for unit, clusters in (("image", of_images(timed.images)), ("trial", trials)):
            drawn = draw_resamples([clusters], make_analysis(seed=run))
            means = drawn.mean(timed.total_ms, timed.images)
            found = estimate(means[:, -1] / means[:, 0], Confidence(0.95))
            hits[unit] += found.low <= true <= found.high
    assert hits["image"] < 85 < hits["trial"]
