import numpy as np
import pytest
from analysed import make_analysis, measured, of_experiment
from simulated import World

from m1.analysis.draws.bootstrap import resamples_of
from m1.analysis.experiments import E1
from m1.analysis.latency.stages import (
    draw_stages,
    latency_distribution,
    make_stage_result,
)
from m1.errors import UserError
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import LatencyDistribution

WORLD = World(n_images=300, e1_requests=300, e2_requests=0, observer_requests=0)
ROWS = measured(WORLD)
REFERENCE = of_experiment(ROWS, "e1")
QA = REFERENCE[REFERENCE["workload"] == "qa"]


def distribution(n: int) -> LatencyDistribution:
    rows = QA.head(n)
    return latency_distribution(rows, resamples_of(rows, make_analysis()))


@pytest.mark.parametrize(
    ("n", "missing"),
    [
        (299, set()),
        (298, {"p99_ms"}),
        (59, {"p99_ms"}),
        (58, {"p99_ms", "p95_ms"}),
        (5, {"p99_ms", "p95_ms"}),
        (4, {"p99_ms", "p95_ms", "p50_ms"}),
    ],
)
def test_percentiles_need_enough_requests(n: int, missing: set[str]) -> None:
    found = distribution(n)
    assert {p for p in ("p50_ms", "p95_ms", "p99_ms") if getattr(found, p) is None} == missing
    assert set(found.not_available) == missing
    assert all(str(n) in reason for reason in found.not_available.values())


def test_percentiles_are_those_of_the_sample() -> None:
    found, times = distribution(300), QA["total_ms"]
    assert found.n == 300
    assert found.mean_ms.value == pytest.approx(times.mean())
    for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        shown = getattr(found, name)
        assert shown.value == pytest.approx(np.quantile(times, q, method="median_unbiased"))
        assert shown.low < shown.value < shown.high or name == "p99_ms"


def test_stage_shares_sum_to_one_in_every_draw() -> None:
    draws = draw_stages(QA, resamples_of(QA, make_analysis()))
    np.testing.assert_allclose(draws.share.sum(axis=1), 1)
    assert draws.share.shape == (201, 4)


def test_stage_result_finds_the_true_times() -> None:
    result = make_stage_result(E1.of(REFERENCE, make_analysis()), WORLD.grid[0])
    for workload in WORKLOADS:
        truth = WORLD.stage_ms(workload, WORLD.grid[0])
        for stage, found in result.stage_breakdown[workload].items():
            assert found.mean_ms.value == pytest.approx(truth[stage], rel=0.02)
            assert found.share.value == pytest.approx(truth[stage] / sum(truth.values()), rel=0.02)
        tokens = result.mean_output_tokens[workload]
        assert tokens.low == tokens.value == tokens.high == WORLD.output_tokens[workload]


def test_a_workload_without_rows_is_an_error() -> None:
    with pytest.raises(UserError, match="captioning: no measured rows"):
        E1.of(QA, make_analysis())
