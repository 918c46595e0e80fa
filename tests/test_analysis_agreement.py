"""Batches compared with single requests, for a known number of differences."""

from dataclasses import replace

import pytest
from analysed import make_analysis, measured, of_experiment, of_workload, scored
from simulated import World, simulate_requests

from m1.analysis.frontier.agreement import compare
from m1.errors import UserError
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Agreement

WORLD = World(
    vision_tokens=(144, 16),
    top_k=(4,),
    active_blocks=(8, 4),
    n_images=120,
    e1_requests=0,
    e2_requests=60,
    answered_requests=120,
    observer_requests=0,
)


def agreement_in(world: World, workload: Workload) -> Agreement:
    rows = of_workload(workload, of_experiment(measured(world), "e2"))
    requests = simulate_requests(workload, world)
    return compare(rows, scored(world)[workload], requests, make_analysis())


@pytest.mark.parametrize("workload", WORKLOADS)
def test_batches_with_the_same_texts_agree(workload: Workload) -> None:
    found = agreement_in(WORLD, workload)
    assert found.n_pairs == 4 * 60
    for estimate, expected in ((found.identical_share, 1.0), (found.quality_difference, 0.0)):
        assert (estimate.value, estimate.low, estimate.high) == (expected,) * 3


@pytest.mark.parametrize("workload", WORKLOADS)
def test_different_texts_and_their_cost_are_counted(workload: Workload) -> None:
    found = agreement_in(replace(WORLD, other_in_batches=0.25), workload)
    assert found.identical_share.low < 0.75 < found.identical_share.high
    assert found.identical_share.high < 0.9
    # "nothing" is no right answer, and shares no word with a caption.
    assert found.quality_difference.high < 0


def test_fewer_answers_than_timed_requests_leave_fewer_pairs() -> None:
    assert agreement_in(replace(WORLD, answered_requests=7), "qa").n_pairs == 4 * 7


def test_requests_without_a_pair_are_an_error() -> None:
    rows = of_workload("qa", of_experiment(measured(WORLD), "e2"))
    timed = set(rows["request_id"])
    scores = scored(WORLD)["qa"]
    others = scores[~scores["request_id"].isin(timed)]
    with pytest.raises(UserError, match="qa: no request was both timed and answered"):
        compare(rows, others, simulate_requests("qa", WORLD), make_analysis())
