from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysed import make_analysis, measured, of_experiment, scored
from simulated import World, simulate_requests

from m1.analysis.bootstrap import Draws, draw_resamples, estimate
from m1.analysis.cells import Cells, make_cells
from m1.analysis.dominance import REFERENCE_POINT
from m1.analysis.evidence import gather_evidence
from m1.analysis.frontiers import best_at, find_frontier, make_frontier
from m1.analysis.trade_off import draw_trade_off
from m1.errors import UserError
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier
from m1.schemas.settings import Setting

WORLD = World(n_images=20, e1_requests=0, e2_requests=15, observer_requests=0)
E2 = of_experiment(measured(WORLD), "e2")
SCORES = scored(WORLD, E2)


def frontier_of(
    workload: Workload, world: World = WORLD, analysis: AnalysisParams | None = None
) -> Frontier:
    e2 = E2 if world is WORLD else of_experiment(measured(world), "e2")
    scores = SCORES if world is WORLD else scored(world, e2)
    requests = simulate_requests(workload, world)
    return find_frontier(e2, scores[workload], requests, world.grid, analysis or make_analysis())


def by_hand(total_ms: Draws, quality: Draws) -> Cells:
    """Cells in which only `top_k` moves."""
    n_requests, n_settings = total_ms.shape
    return Cells(
        workload="qa",
        settings=tuple(Setting(top_k=8 - i) for i in range(n_settings)),
        images=tuple(f"image-{i}" for i in range(n_requests)),
        total_ms=total_ms,
        stage_ms=np.stack([total_ms / 4] * 4),
        quality=quality,
    )


def frontier_by_hand(total_ms: Draws, quality: Draws, **changes: object) -> Frontier:
    cells, analysis = by_hand(total_ms, quality), make_analysis(**changes)
    resamples = draw_resamples({"qa": cells.images}, analysis)["qa"]
    trade_off = draw_trade_off(cells, resamples, analysis.latency_statistic)
    return make_frontier(cells, trade_off, {}, analysis)


def test_reference_is_one_exactly() -> None:
    for workload in WORKLOADS:
        frontier = frontier_of(workload)
        point = next(p for p in frontier.points if p.setting == frontier.reference)
        for fraction in (point.latency_fraction, point.quality_fraction):
            assert (fraction.value, fraction.low, fraction.high) == (1, 1, 1)


def test_points_are_those_of_the_sample_fastest_first() -> None:
    frontier = frontier_of("qa")
    qa = SCORES["qa"]
    assert len(frontier.points) == len(WORLD.grid)
    assert [p.latency_ms.value for p in frontier.points] == sorted(
        p.latency_ms.value for p in frontier.points
    )
    for point in frontier.points:
        values = point.setting.model_dump()
        rows = qa[(qa[list(values)] == list(values.values())).all(axis=1)]
        assert len(rows) == frontier.n_requests == frontier.n_images == 15
        assert point.latency_ms.value == pytest.approx(rows["total_ms"].median())
        assert point.quality.value == pytest.approx(rows["quality"].mean())
        assert point.latency_ms.low <= point.latency_ms.value <= point.latency_ms.high


def test_latency_statistic_is_the_one_asked_for() -> None:
    times = np.array([[1.0, 2.0], [1.0, 2.0], [10.0, 2.0]])
    good = np.ones_like(times)
    median = frontier_by_hand(times, good)
    mean = frontier_by_hand(times, good, latency_statistic="mean")
    reference = {f.latency_statistic: f.points for f in (median, mean)}
    assert [p.latency_ms.value for p in reference["median"]] == [1.0, 2.0]
    assert [p.latency_ms.value for p in reference["mean"]] == [2.0, 4.0]


def test_settings_are_paired_so_what_images_share_cancels() -> None:
    rng = np.random.default_rng(0)
    slowness = np.exp(rng.normal(size=(30, 1)))
    times = slowness * np.array([[100.0, 50.0]])
    point = frontier_by_hand(times, np.ones_like(times)).points[0]
    assert point.latency_ms.high > 1.2 * point.latency_ms.low
    assert point.latency_fraction.high - point.latency_fraction.low < 1e-9


def test_shares_of_resamples_show_how_sure_the_frontier_is() -> None:
    rng = np.random.default_rng(1)
    # The last two settings are as fast as each other and, but for noise, as good.
    times = np.array([[100.0, 60.0, 50.0, 50.0]]) * np.ones((40, 1))
    quality = np.column_stack([np.full(40, 0.9), np.full(40, 0.5), rng.random((40, 2))])
    points = {p.label: p for p in frontier_by_hand(times, quality).points}
    sure, never, *close = (points[f"-/{k}/-"] for k in (8, 7, 6, 5))
    assert (sure.on_frontier, sure.frontier_share) == (True, 1)
    assert never.frontier_share < 0.9
    assert sum(p.on_frontier for p in close) == 1
    assert sum(p.frontier_share for p in close) == pytest.approx(1)
    assert all(0.02 < p.frontier_share < 0.98 for p in close)


def test_frontier_by_hand() -> None:
    times = np.array([[100.0, 70.0, 40.0, 50.0]]) * np.ones((6, 1))
    quality = np.array([[1.0, 0.96, 0.7, 0.6]]) * np.ones((6, 1))
    frontier = frontier_by_hand(times, quality)
    assert frontier.steepness is not None
    assert frontier.steepness.value == pytest.approx(0.5)
    area = 0.3 * 0.7 + 0.3 * 0.96 + 0.05 * 1.0
    assert frontier.hypervolume.value == pytest.approx(area)
    assert frontier.hypervolume_reference_point == REFERENCE_POINT
    best = {b.level: (b.label, b.latency_fraction.value) for b in frontier.best_settings}
    assert best == {0.99: ("-/8/-", 1.0), 0.95: ("-/7/-", 0.7), 0.9: ("-/7/-", 0.7)}
    assert all(b.share_of_resamples == 1 for b in frontier.best_settings)
    (single,) = frontier.single_knob
    assert (single.knob, single.labels) == ("top_k", ("-/6/-", "-/7/-", "-/8/-"))
    assert single.hypervolume == frontier.hypervolume


def test_one_point_has_no_steepness() -> None:
    times = np.array([[100.0, 70.0]]) * np.ones((6, 1))
    assert frontier_by_hand(times, np.ones_like(times)).steepness is None


def test_every_level_has_a_best_setting() -> None:
    frontier = frontier_of("qa")
    assert [b.level for b in frontier.best_settings] == [0.99, 0.95, 0.9]
    assert best_at(0.95, frontier) == frontier.best_settings[1]
    with pytest.raises(UserError, match=r"no best setting at level 0\.7"):
        best_at(0.7, frontier)


def test_one_knob_dominates_no_more_than_all() -> None:
    frontier = frontier_of("captioning")
    assert [single.knob for single in frontier.single_knob] == [
        "vision_tokens",
        "top_k",
        "active_blocks",
    ]
    for single in frontier.single_knob:
        assert 0 < single.hypervolume.value <= frontier.hypervolume.value


def test_knobs_with_one_value_have_no_frontier_of_their_own() -> None:
    world = replace(WORLD, top_k=(None,), active_blocks=(8,))
    frontier = frontier_of("qa", world)
    assert len(frontier.points) == 3
    assert [single.knob for single in frontier.single_knob] == ["vision_tokens"]
    assert frontier.points[-1].label == "144/-/8"


def test_captions_have_corpus_scores_too() -> None:
    for point in frontier_of("captioning").points:
        assert set(point.further_quality) == {"bleu_4", "rouge_l"}
    assert all(point.further_quality == {} for point in frontier_of("qa").points)


def test_no_quality_at_the_reference_is_an_error() -> None:
    with pytest.raises(UserError, match="qa: every answer at the reference setting scores 0"):
        frontier_by_hand(np.ones((3, 2)), np.array([[0.0, 1.0]] * 3))


def test_every_request_must_be_at_every_setting_once() -> None:
    rows = SCORES["qa"]
    for broken in (rows.iloc[1:], rows.iloc[[0, *range(len(rows))]], rows.iloc[:0]):
        with pytest.raises(UserError, match="measured once"):
            make_cells("qa", broken, WORLD.grid)


def test_requests_keep_their_own_image() -> None:
    world = replace(WORLD, questions_per_image=2, n_images=7, e2_requests=13)
    rows = scored(world, measured(world))["qa"].sample(frac=1, random_state=1)
    # Named so that requests and images sort differently.
    renamed = rows.assign(image_id=[f"{3 * int(i[-1]) % 7}" for i in rows["image_id"]])
    cells = make_cells("qa", renamed, world.grid)
    by_request = dict(zip(renamed["request_id"], renamed["image_id"], strict=True))
    assert cells.images == tuple(by_request[request] for request in sorted(by_request))
    assert len(set(cells.images)) == 7


def test_intervals_are_those_of_the_draws_the_contrast_compares() -> None:
    analysis = make_analysis()
    few = {"qa": SCORES["qa"], "captioning": SCORES["captioning"].query("image_id < 'image-0008'")}
    e2 = pd.concat(few.values())
    e1 = of_experiment(measured(replace(WORLD, e1_requests=5)), "e1")
    evidence = gather_evidence(e1, few, WORLD.grid, analysis)
    for w in WORKLOADS:
        frontier = find_frontier(e2, few[w], simulate_requests(w, WORLD), WORLD.grid, analysis)
        assert frontier.steepness == estimate(evidence[w].steepness, analysis.confidence)
