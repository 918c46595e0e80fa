"""The plan measures everything it should, in an order that spreads drift."""

from collections import Counter
from itertools import pairwise

import pytest
from simulated import World, simulate_requests

from m1.params import PerWorkload, ProfileParams
from m1.profiling.schedule import Planned, Round, deal_images, one_of_each_shape, plan
from m1.schemas.requests import WORKLOADS, Request
from m1.schemas.settings import Setting, decode_passes

WORLD = World(n_images=40)
FREE = decode_passes("free")
BOTH = decode_passes("both")
REQUESTS = {w: simulate_requests(w, WORLD).requests for w in WORKLOADS}


def params(**changes) -> ProfileParams:
    defaults = {
        "session": 1,
        "seed": 1,
        "max_new_tokens": PerWorkload(qa=10, captioning=80),
        "decode_mode": "free",
        "e1_requests": PerWorkload(qa=30, captioning=20),
        "e2_requests": PerWorkload(qa=10, captioning=5),
        "observer_requests": PerWorkload(qa=6, captioning=4),
        "anchor_requests": PerWorkload(qa=3, captioning=2),
        "n_trials": 5,
        "warmup_window": 4,
        "warmup_s": 1.0,
        "warmup_limit": 3,
    }
    return ProfileParams(**(defaults | changes))


def planned(rounds) -> list[tuple[Round, Planned]]:
    return [(one, p) for one in rounds for p in one.planned]


def test_every_cell_gets_its_requests_once() -> None:
    count = Counter(
        (one.experiment, one.workload, one.setting.label, p.request.request_id, p.marked)
        for one, p in planned(plan(params(), WORLD.grid, REQUESTS, FREE))
    )
    assert {n for (experiment, *_), n in count.items() if experiment != "anchor"} == {1}
    per_cell = Counter((e, w, label) for e, w, label, _, _ in count)
    assert per_cell["e1", "qa", "144/4/8"] == 30
    assert per_cell["e1", "captioning", "144/4/8"] == 20
    assert per_cell["observer", "captioning", "144/4/8"] == 8
    assert {per_cell["e2", "qa", s.label] for s in WORLD.grid} == {10}
    assert {per_cell["e2", "captioning", s.label] for s in WORLD.grid} == {5}


@pytest.mark.parametrize("grid", [WORLD.grid, WORLD.grid[-2:]])
def test_anchors_are_the_same_requests_at_the_native_setting_in_every_trial(
    grid: tuple[Setting, ...],
) -> None:
    anchors = [
        (one.trial, one.workload, p.request.request_id, one.setting)
        for one, p in planned(plan(params(), grid, REQUESTS, FREE))
        if one.experiment == "anchor"
    ]
    firsts = {(w, r.request_id) for w, n in (("qa", 3), ("captioning", 2)) for r in REQUESTS[w][:n]}
    assert Counter(anchors) == Counter(
        (trial, *request, Setting()) for trial in range(5) for request in firsts
    )


def test_anchors_are_spread_over_a_trial() -> None:
    experiments = [
        one.experiment
        for one in plan(params(), WORLD.grid, REQUESTS, FREE)
        if one.trial == 0 and one.workload == "qa"
    ]
    places = [i for i, experiment in enumerate(experiments) if experiment == "anchor"]
    assert len(places) == 3
    assert places[-1] - places[0] > 2


def test_all_settings_answer_the_same_requests() -> None:
    asked: dict[str, set[str]] = {}
    for one, p in planned(plan(params(), WORLD.grid, REQUESTS, FREE)):
        if (one.experiment, one.workload) == ("e2", "qa"):
            asked.setdefault(one.setting.label, set()).add(p.request.request_id)
    assert len({frozenset(ids) for ids in asked.values()}) == 1


def test_trials_come_one_after_another_and_each_holds_every_cell() -> None:
    rounds = plan(params(), WORLD.grid, REQUESTS, FREE)
    trials = [one.trial for one in rounds]
    assert trials == sorted(trials)
    cells = [
        {one.cell for one in rounds if one.trial == t and one.experiment == "e2"} for t in range(5)
    ]
    assert all(some == cells[0] for some in cells)


def test_all_requests_about_one_image_are_in_one_trial() -> None:
    world = World(n_images=30, questions_per_image=3)
    requests = {w: simulate_requests(w, world).requests for w in WORKLOADS}
    many = params(
        e1_requests=PerWorkload(qa=80, captioning=30),
        e2_requests=PerWorkload(qa=50, captioning=10),
        observer_requests=PerWorkload(qa=20, captioning=30),
    )
    trials: dict[tuple[str, str], set[int]] = {}
    for one, p in planned(plan(many, world.grid[:2], requests, FREE)):
        if one.experiment != "anchor":
            trials.setdefault((one.experiment, p.request.image_id), set()).add(one.trial)
    assert {len(some) for some in trials.values()} == {1}


@pytest.mark.parametrize("n_shared", [0, 20, 40])
def test_every_trial_has_about_as_many_requests_of_each_workload(n_shared: int) -> None:
    world = World(n_images=80)
    questions, captions = (simulate_requests(w, world).requests for w in ("qa", "captioning"))
    requests = {"qa": questions[:40], "captioning": captions[40 - n_shared : 80 - n_shared]}
    trial_of = deal_images(requests, 20)
    for workload in WORKLOADS:
        count = Counter(trial_of[request.image_id] for request in requests[workload])
        assert [count[trial] for trial in range(20)] == [2] * 20


def test_captions_are_spread_evenly_where_images_have_unlike_numbers_of_questions() -> None:
    world = World(n_images=90, questions_per_image=2)
    questions, captions = (simulate_requests(w, world).requests for w in WORKLOADS)
    uneven = [one for place, one in enumerate(questions[:120]) if place % 5]
    trial_of = deal_images({"qa": uneven, "captioning": captions[30:70]}, 20)
    count = Counter(trial_of[request.image_id] for request in captions[30:70])
    assert [count[trial] for trial in range(20)] == [2] * 20


def test_cells_are_mixed_within_a_trial_and_differently_in_each() -> None:
    rounds = plan(params(), WORLD.grid, REQUESTS, FREE)
    orders = [[one.cell for one in rounds if one.trial == t] for t in range(2)]
    assert orders[0] != orders[1]
    changes = sum(a[1] != b[1] for a, b in zip(orders[0], orders[0][1:], strict=False))
    assert changes > len(orders[0]) / 4


def test_the_seed_decides_the_order() -> None:
    assert plan(params(), WORLD.grid, REQUESTS, FREE) == plan(params(), WORLD.grid, REQUESTS, FREE)
    assert plan(params(), WORLD.grid, REQUESTS, FREE) != plan(
        params(seed=2), WORLD.grid, REQUESTS, FREE
    )


def test_observer_pairs_stay_side_by_side_in_either_order() -> None:
    first: list[bool] = []
    for one in plan(
        params(observer_requests=PerWorkload(qa=40, captioning=40)), WORLD.grid, REQUESTS, FREE
    ):
        if one.experiment == "observer":
            pairs = list(zip(one.planned[::2], one.planned[1::2], strict=True))
            assert all(a.request == b.request and a.marked != b.marked for a, b in pairs)
            first += [a.marked for a, _ in pairs]
    assert 0.2 < sum(first) / len(first) < 0.8


def test_both_modes_measure_the_same_requests_in_the_same_trials() -> None:
    rounds = plan(params(), WORLD.grid, REQUESTS, BOTH)
    seen = {
        mode: Counter(
            (one.experiment, one.trial, one.workload, one.setting.label, p.request.request_id)
            for one, p in planned(rounds)
            if one.decode_mode == mode and one.experiment in ("e1", "e2")
        )
        for mode in BOTH
    }
    assert seen["free"] == seen["reference_length"]
    assert set(seen["free"].values()) == {1}
    first = [one.decode_mode for one in rounds if one.trial == 0]
    changes = sum(a != b for a, b in pairwise(first))
    assert changes > len(first) / 4


def test_marks_are_tried_in_the_first_mode_alone() -> None:
    rounds = plan(params(), WORLD.grid, REQUESTS, BOTH)
    assert {one.decode_mode for one in rounds if one.experiment == "observer"} == {"free"}


def test_one_request_of_each_shape_stands_for_all_at_every_setting() -> None:
    rounds = plan(params(), WORLD.grid, REQUESTS, FREE)
    asked: list[tuple[str, str, int | None]] = []

    def shape(one: Round, request: Request) -> object:
        asked.append((one.workload, request.request_id, one.setting.vision_tokens))
        return one.setting.vision_tokens, len(request.prompt)

    firsts = planned(one_of_each_shape(rounds, shape))
    kinds = {(one.setting, len(p.request.prompt)) for one, p in planned(rounds)}
    assert {(one.setting, len(p.request.prompt)) for one, p in firsts} == kinds
    assert len(firsts) == len(kinds)
    assert all(p.marked for _, p in firsts)
    assert len(asked) == len(set(asked)), "encoding takes time"
