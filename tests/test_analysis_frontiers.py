from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from analysed import (
    frontier_in,
    make_analysis,
    measured,
    of_experiment,
    of_workload,
    scored,
    weights_of,
)
from simulated import World, simulate_requests

from m1.analysis.cells import ScoredCells, TimedCells, make_scored_cells, make_timed_cells
from m1.analysis.contrast.evidence import gather_evidence
from m1.analysis.draws.bootstrap import draw_resamples, draw_samples
from m1.analysis.draws.clusters import of_images
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate
from m1.analysis.experiments import E1, E2
from m1.analysis.frontier.dominance import REFERENCE_POINT
from m1.analysis.frontier.frontier import best_at, find_frontier, make_frontier
from m1.analysis.frontier.trade_off import NoQualityError, TradeOff, draw_trade_off
from m1.errors import UserError
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier, SampleSize
from m1.schemas.settings import Setting

Make = Callable[[Workload, pd.DataFrame, Sequence[Setting]], object]

WORLD = World(n_images=20, e1_requests=0, e2_requests=15, observer_requests=0)
SCORES = scored(WORLD)
SMALL = replace(WORLD, vision_tokens=(144, 16), top_k=(4,), active_blocks=(8, 4))


def frontier_of(
    workload: Workload, world: World = WORLD, analysis: AnalysisParams | None = None
) -> Frontier:
    return frontier_in(world, workload, analysis=analysis)


def by_hand(total_ms: Draws, quality: Draws) -> tuple[TimedCells, ScoredCells]:
    """Cells in which only `top_k` moves."""
    n_settings = total_ms.shape[1]
    timed = TimedCells(
        workload="qa",
        settings=tuple(Setting(top_k=8 - i) for i in range(n_settings)),
        images=tuple(f"image-{i}" for i in range(len(total_ms))),
        total_ms=total_ms,
        stage_ms=np.stack([total_ms / 4] * 4),
        n_decode_steps=np.ones_like(total_ms),
    )
    images = tuple(f"image-{i}" for i in range(len(quality)))
    return timed, ScoredCells(images=images, quality=quality, cut=np.zeros_like(quality))


def frontier_by_hand(total_ms: Draws, quality: Draws, **changes: object) -> Frontier:
    (timed, scored), analysis = by_hand(total_ms, quality), make_analysis(**changes)
    drawn = draw_resamples([of_images({*timed.images, *scored.images})], analysis)
    trade_off = draw_trade_off(timed, scored, drawn, analysis.latency_statistic)
    sizes = drawn.size_of(timed.images), drawn.size_of(scored.images)
    return make_frontier("qa", sizes, trade_off, {}, analysis)


def test_reference_is_one_exactly() -> None:
    for workload in WORKLOADS:
        frontier = frontier_of(workload)
        point = next(p for p in frontier.points if p.setting == frontier.reference)
        for fraction in (point.latency_fraction, point.quality_fraction):
            assert (fraction.value, fraction.low, fraction.high) == (1, 1, 1)


def test_points_are_those_of_the_sample_fastest_first() -> None:
    frontier = frontier_of("qa")
    qa, e2 = SCORES["qa"], of_workload("qa", of_experiment(measured(WORLD), "e2"))
    assert len(frontier.points) == len(WORLD.grid)
    assert [p.latency_ms.value for p in frontier.points] == sorted(
        p.latency_ms.value for p in frontier.points
    )
    for point in frontier.points:
        values = point.setting.model_dump()
        rows, timed = (
            frame[(frame[list(values)] == list(values.values())).all(axis=1)] for frame in (qa, e2)
        )
        assert len(timed) == frontier.timed.n_requests == frontier.timed.n_clusters == 15
        assert point.latency_ms.value == pytest.approx(timed["total_ms"].median())
        assert len(rows) == frontier.scored.n_requests == frontier.scored.n_images == 15
        assert point.quality.value == pytest.approx(rows["quality"].mean())
        assert point.latency_ms.low <= point.latency_ms.value <= point.latency_ms.high


def test_latency_statistic_is_the_requested_one() -> None:
    times = np.array([[1.0, 2.0], [1.0, 2.0], [10.0, 2.0]])
    good = np.ones_like(times)
    median = frontier_by_hand(times, good)
    mean = frontier_by_hand(times, good, latency_statistic="mean")
    reference = {f.latency_statistic: f.points for f in (median, mean)}
    assert [p.latency_ms.value for p in reference["median"]] == [1.0, 2.0]
    assert [p.latency_ms.value for p in reference["mean"]] == [2.0, 4.0]


def test_settings_are_paired_so_effects_of_images_cancel() -> None:
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


def test_the_gain_by_noise_is_subtracted_from_hypervolume() -> None:
    # Eight settings as good as each other: the best of them looks better than it is.
    rng = np.random.default_rng(2)
    times = np.linspace(100.0, 30.0, 8) * np.ones((40, 1))
    area = frontier_by_hand(times, rng.random((40, 8)), n_resamples=1000).hypervolume
    assert area.low < area.value
    assert (area.low + area.high) / 2 < area.value


def test_no_faster_setting_leaves_no_steepness() -> None:
    times = np.array([[100.0, 170.0]]) * np.ones((6, 1))
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


def test_the_largest_possible_quality_is_recorded() -> None:
    references = {r.references for r in simulate_requests("qa", WORLD).requests}
    assert all(len(said) == 10 and len(set(said)) == 1 for said in references)
    assert frontier_of("qa").quality_ceiling == 1.0
    assert frontier_of("captioning").quality_ceiling is None


def test_no_quality_at_the_reference_leaves_no_frontier() -> None:
    with pytest.raises(NoQualityError, match="Every qa answer at the reference setting scores 0"):
        frontier_by_hand(np.ones((3, 2)), np.array([[0.0, 1.0]] * 3))


def test_quality_that_most_resamples_lack_leaves_no_frontier() -> None:
    # One answer of twelve scores: nearly every third resample has none that does.
    times, quality = np.ones((12, 2)) * [2.0, 1.0], np.zeros((12, 2))
    quality[0] = 1.0
    told = r"So few qa answers .* that (3|4)\d% of resamples hold none .* raise quality\.n_requests"
    with pytest.raises(NoQualityError, match=told):
        frontier_by_hand(times, quality)
    quality[:6] = 1.0
    frontier_by_hand(times, quality)


def test_no_interval_of_an_area_or_gain_goes_below_zero() -> None:
    # Answers are seldom right, so that fractions of the reference's quality are anything.
    rng = np.random.default_rng(3)
    times = np.linspace(100.0, 90.0, 8) * (1 + 0.2 * rng.random((40, 8)))
    quality = (rng.random((40, 8)) < 0.12).astype(float)
    quality[:4, 0] = 1.0
    frontier = frontier_by_hand(times, quality, n_resamples=1000)
    coupling = frontier.coupling
    areas = [frontier.hypervolume, *(single.hypervolume for single in frontier.single_knob)]
    areas += [fixed.hypervolume for fixed in coupling.fixed["top_k"]]
    gains = [*coupling.joint_gains.values(), coupling.joint_gain]
    for found in [*areas, *gains]:
        assert found is not None
        assert 0 <= found.low <= found.high
    # Without the bound it would be otherwise.
    assert any(found.low == 0 < found.value for found in areas)
    for point in frontier.points:
        for part in (point.latency_fraction, point.quality_fraction, point.quality):
            assert 0 <= part.low <= part.high
        assert 0 <= point.cut_share.low <= point.cut_share.high <= 1


def test_every_request_must_be_at_every_setting_once() -> None:
    timed = of_workload("qa", of_experiment(measured(WORLD), "e2"))
    cases: list[tuple[Make, pd.DataFrame, str]] = [
        (make_timed_cells, timed, "measured once"),
        (make_scored_cells, SCORES["qa"], "answered once"),
    ]
    for make, rows, told in cases:
        make("qa", rows, WORLD.grid)
        for broken in (rows.iloc[1:], rows.iloc[[0, *range(len(rows))]], rows.iloc[:0]):
            with pytest.raises(UserError, match=told):
                make("qa", broken, WORLD.grid)


def test_requests_keep_their_own_image() -> None:
    world = replace(WORLD, questions_per_image=2, n_images=7, e2_requests=13)
    rows = scored(world)["qa"].sample(frac=1, random_state=1)
    # Named so that requests and images sort differently.
    renamed = rows.assign(image_id=[f"{3 * int(i[-1]) % 7}" for i in rows["image_id"]])
    cells = make_scored_cells("qa", renamed, world.grid)
    by_request = dict(zip(renamed["request_id"], renamed["image_id"], strict=True))
    assert cells.images == tuple(by_request[request] for request in sorted(by_request))
    assert len(set(cells.images)) == 7


def test_intervals_are_those_of_the_draws_the_contrast_compares() -> None:
    world, analysis = replace(WORLD, e1_requests=5, answered_requests=18), make_analysis()
    rows, scores = measured(world), scored(world)
    few = {"qa": scores["qa"], "captioning": scores["captioning"].query("image_id < 'image-0008'")}
    e1, e2 = (of_experiment(rows, name) for name in ("e1", "e2"))
    evidence = gather_evidence(E1.of(e1, analysis), E2.of(e2, few, world.grid, analysis), analysis)
    for w in WORKLOADS:
        requests = simulate_requests(w, world)
        answers = pd.concat(few.values())
        frontier = find_frontier(e2, answers, few[w], requests, world.grid, analysis)
        found = evidence[w].quality
        assert found is not None
        assert frontier.steepness == estimate(found.steepness, Confidence(analysis.confidence))


@pytest.mark.parametrize(("timed", "scored"), [(4, 60), (60, 8), (12, 12)])
def test_numbers_of_timed_and_scored_requests_may_differ(timed: int, scored: int) -> None:
    sizes = {"n_images": 60, "e2_requests": timed, "answered_requests": scored}
    world = replace(SMALL, stage_noise=0.0, **sizes)
    frontier = frontier_in(world, "qa")
    trials = min(timed, world.n_trials)
    only_scored = max(scored - timed, 0)
    assert frontier.timed == SampleSize(n_requests=timed, n_images=timed, n_clusters=trials)
    assert frontier.scored == SampleSize(
        n_requests=scored, n_images=scored, n_clusters=min(scored, trials + only_scored)
    )
    for point in frontier.points:
        truth = sum(world.stage_ms("qa", point.setting).values())
        reference = sum(world.stage_ms("qa", frontier.reference).values())
        # What images share cancels, so the fraction is exact however few are timed.
        assert point.latency_fraction.low == pytest.approx(truth / reference)
        assert point.latency_fraction.high == pytest.approx(truth / reference)
        assert 0 <= point.quality.low <= point.quality.value <= point.quality.high <= 1
        assert point.frontier_share <= 1


def test_more_answers_make_narrower_intervals_of_quality_alone() -> None:
    world = replace(SMALL, n_images=200, e2_requests=20)
    widths: dict[str, list[float]] = {"quality": [0.0, 0.0], "latency_ms": [0.0, 0.0]}
    for seed, (i, n) in product(range(4), enumerate((20, 200))):
        frontier = frontier_in(replace(world, answered_requests=n), "qa", seed)
        for name, sums in widths.items():
            estimates = [getattr(point, name) for point in frontier.points]
            sums[i] += float(np.mean([one.high - one.low for one in estimates]))
    # Ten times the images: a third of the width.
    assert 0.25 < widths["quality"][1] / widths["quality"][0] < 0.4
    assert 0.8 < widths["latency_ms"][1] / widths["latency_ms"][0] < 1.25


def test_quality_is_the_true_one_with_enough_answers() -> None:
    world = replace(SMALL, n_images=600, e2_requests=10, answered_requests=600)
    for point in frontier_in(world, "qa").points:
        right = world.right("qa", point.setting)
        assert point.quality.low < right < point.quality.high
        assert point.quality.high - point.quality.low < 0.1


def test_images_that_are_timed_and_scored_count_alike_in_both() -> None:
    # Slow images are the bad ones: draws with many of them are slow and bad at once.
    slow = np.repeat([1.0, 2.0], 20)
    timed, scored = by_hand(np.outer(slow, [100.0]), np.outer(3 - slow, [0.3]))
    rows = pd.DataFrame({"image_id": timed.images, "trial": range(40), "workload": "qa"})
    answers = pd.DataFrame({"image_id": [*timed.images, *(f"scored-{i}" for i in range(40))]})
    drawn = draw_samples(rows, answers, make_analysis())
    latency = drawn.mean(timed.total_ms, timed.images)
    quality = drawn.mean(scored.quality, scored.images)
    assert np.corrcoef(latency[1:, 0], quality[1:, 0])[0, 1] < -0.999
    # However many are only scored, every draw has the same number of trials.
    assert len(set(weights_of(drawn, timed.images)[1:].sum(axis=1))) == 1


def test_cut_outputs_are_counted_at_each_setting() -> None:
    world = replace(SMALL, n_images=150, answered_requests=150, cut_share=0.2)
    for point in frontier_in(world, "captioning").points:
        assert point.cut_share.low <= point.cut_share.value <= point.cut_share.high
        assert point.cut_share.value == pytest.approx(0.2, abs=0.12)
    assert all(point.cut_share.high == 0 for point in frontier_in(SMALL, "captioning").points)


def test_a_best_setting_has_its_own_latency_in_every_resample() -> None:
    # Which setting is the best changes from resample to resample; its latency is one setting's.
    rng = np.random.default_rng(2)
    times = np.array([[100.0, 60.0, 30.0]]) * (1 + 0.01 * rng.random((12, 3)))
    quality = (rng.random((12, 3)) < np.array([[1.0, 0.97, 0.9]])).astype(float)
    frontier = frontier_by_hand(times, quality)
    fractions = {point.setting: point.latency_fraction for point in frontier.points}
    shares = [best.share_of_resamples for best in frontier.best_settings]
    assert any(0.1 < share < 0.9 for share in shares)
    for best in frontier.best_settings:
        assert best.latency_fraction == fractions[best.setting]


def test_a_draw_without_reference_quality_has_no_fraction_of_it() -> None:
    nothing = np.zeros((2, 2))
    drawn = TradeOff(
        settings=(Setting(top_k=2), Setting(top_k=1)),
        latency_ms=np.array([[2.0, 1.0], [2.0, 1.0]]),
        quality=np.array([[1.0, 0.5], [0.0, 0.5]]),
        cut_share=nothing,
        confidence=Confidence(0.95),
    )
    assert drawn.quality_fraction[0].tolist() == [1.0, 0.5]
    assert np.isnan(drawn.quality_fraction[1]).all()
