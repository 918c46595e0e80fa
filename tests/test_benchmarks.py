"""The arithmetic of `make bench`: intervals, aims, counts, timed work. No test checks a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import greedy_loop
from benchmarks.bench import Bench
from benchmarks.protocols import CellCosts, Costs, Sweep, counts
from benchmarks.ratios import interleaved, median_estimate
from benchmarks.row import Aim, Row
from benchmarks.scaling import exponent, peak_mb
from benchmarks.startup import no_op, pipeline_of_one_stage
from benchmarks.table import page, table
from benchmarks.widths import naive_medians, ours_medians, width
from benchmarks.worlds import CoverageWorld
from m1.errors import UserError
from m1.params import load_params
from m1.schemas.requests import WORKLOADS
from m1.schemas.results.estimates import Estimate
from m1.vlm.encoding import encode
from m1.vlm.engine import answer

PARAMS = load_params(Path(__file__).parent.parent / "params.yaml")
SMALL = ("data.scenes.n_images=8", "data.qa.n_requests=8", "data.captioning.n_requests=8")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def near(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high)


@pytest.fixture
def bench(tmp_path) -> Bench:
    params = load_params(Path(__file__).parent.parent / "params.yaml", SMALL)
    return Bench.set_up(params, tmp_path, quick=True)


def test_the_interval_of_a_median_holds_it_and_narrows_with_more_measurements() -> None:
    few, many = (median_estimate(rng().normal(5, 1, n), rng()) for n in (20, 2000))
    assert few.low < 5 < few.high
    assert many.low < 5 < many.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_ways_take_turns_in_random_order_and_warming_up_does_not_count() -> None:
    calls: list[tuple[str, int]] = []

    def way(name: str) -> Callable[[int], float]:
        def cost(i: int) -> float:
            calls.append((name, i))
            return len(calls)

        return cost

    costs = interleaved({"a": way("a"), "b": way("b")}, 20, rng(), n_warm=2)
    assert [i for _, i in calls] == [i for i in (0, 1, *range(20)) for _ in "ab"]
    assert {name for name, _ in calls[::2]} == {"a", "b"}, "either goes first at times"
    assert sorted([*costs["a"], *costs["b"]]) == list(range(5, 45))


@pytest.mark.parametrize(
    ("aim", "interval", "verdict"),
    [
        (Aim(0.8), (0.6, 0.8), "met"),
        (Aim(0.8), (0.75, 0.85), "undecided"),
        (Aim(0.8), (0.81, 0.9), "not met"),
        (Aim(5, at_most=False), (5.0, 6.0), "met"),
        (Aim(5, at_most=False), (4.9, 6.0), "undecided"),
        (Aim(5, at_most=False), (4.0, 4.9), "not met"),
    ],
)
def test_an_aim_is_judged_by_the_whole_interval(aim, interval, verdict) -> None:
    assert Row("1", "x", near(*interval), aim).verdict == verdict


def test_the_table_names_a_group_once_and_shows_intervals_aims_and_limits() -> None:
    rows = [
        Row("3. Closure", "first", near(0.1, 0.3), Aim(0.5), "Two clocks.", "%"),
        Row("3. Closure", "second", near(7, 7), unit="MB"),
    ]
    assert table(rows).splitlines()[2:] == [
        "| 3. Closure | first | 0.2 % (0.1 to 0.3) | 0.5 % or less | met | Two clocks. |",
        "|  | second | 7 MB | none | no aim |  |",
    ]
    shown = page(rows, ["How it was counted."], quick=True)
    assert table(rows) in shown
    assert "a trial" in shown
    assert shown.endswith("\nHow it was counted.\n")


def test_counts_are_those_that_the_parameters_ask_for() -> None:
    one = counts("captioning", PARAMS.knobs, PARAMS.profile, PARAMS.quality)
    assert one.n_settings == 27
    assert one.swept == 50
    assert one.at_reference == 300 + 2 * 60 + 6 * 50
    assert (one.scored, one.encoded) == (100, 300)
    assert one.naive == 3 + 100 * 3 + 100
    assert one.naive_as_few == 3 + 50 * 3 + 100


def test_the_time_of_a_sweep_is_counts_times_costs() -> None:
    numbers = {w: counts(w, PARAMS.knobs, PARAMS.profile, PARAMS.quality) for w in WORKLOADS}
    each = np.ones((4, 27))
    cells = {w: CellCosts(2 * each, 3 * each, np.full(27, 0.5), 0.1) for w in WORKLOADS}
    sweep = Sweep(numbers, Costs(cells, start=7.0, facts=11.0), PARAMS.profile)
    warm_up = 2 * (2 * 2 * 27)
    grid = 2 * 7 + warm_up + 2 * 27 * (100 + 50) + 0.5 * 27 * (200 + 100) + 0.1 * (600 + 300)
    assert sweep.ours(whole=False) == pytest.approx(grid)
    assert sweep.ours() == pytest.approx(grid + 11 + 2 * 720 * 2)
    assert sweep.naive() == pytest.approx(27 * 7 + 3 * 27 * (803 + 403))
    assert sweep.naive(as_few=True) < sweep.naive()


def test_only_drawn_requests_count_in_a_sweep() -> None:
    numbers = {w: counts(w, PARAMS.knobs, PARAMS.profile, PARAMS.quality) for w in WORKLOADS}
    rising = np.arange(1.0, 5.0)[:, None] * np.ones((4, 27))
    cells = {w: CellCosts(rising, rising, np.zeros(27), 0.0) for w in WORKLOADS}
    sweep = Sweep(numbers, Costs(cells, start=0.0, facts=0.0), PARAMS.profile)
    assert sweep.naive(np.array([3, 3, 3, 3])) == pytest.approx(4 * sweep.naive(np.array([0])))


def test_slow_spells_widen_the_range_of_naive_medians_more_than_of_ours() -> None:
    world = CoverageWorld(spell=0.3)
    draw = rng()
    ours = width(np.array([ours_medians(world, draw) for _ in range(60)]))
    naive = width(np.array([naive_medians(world, 200, draw) for _ in range(60)]))
    assert (ours < naive).all()
    calm = CoverageWorld(spell=0.0)
    quiet = width(np.array([naive_medians(calm, 200, draw) for _ in range(60)]))
    assert (quiet < naive / 2).all()


def test_the_exponent_is_the_power_by_which_time_grows() -> None:
    sizes = (10, 100, 1000)
    seconds = np.array([[7.0 * n**1.5 for n in sizes]] * 3)
    assert exponent(sizes, seconds) == pytest.approx(1.5)


def test_peak_memory_is_the_most_that_the_work_held_at_once() -> None:
    assert peak_mb(lambda: [np.zeros(2**20) for _ in range(3)]) == pytest.approx(24, rel=0.05)
    assert peak_mb(lambda: [np.zeros(2**20).sum() for _ in range(3)]) < 17


def test_time_in_modules_covers_the_tower_and_all_blocks_of_each_pass(
    vlm, held_out, monkeypatch
) -> None:
    inputs = encode(vlm, held_out.images[0], "Is there a star?")
    n_blocks_run = 0

    def count(*_: object) -> None:
        nonlocal n_blocks_run
        n_blocks_run += 1

    # A clock that ticks when a block has run.
    monkeypatch.setattr(greedy_loop, "perf_counter", lambda: n_blocks_run)
    counters = [block.register_forward_hook(count) for block in vlm.structure.blocks]
    with greedy_loop.modules_timed(vlm.structure) as spent:
        n_tokens = len(answer(vlm, inputs, 5, stops_at_end=False).tokens)
    assert spent == [0, *[len(vlm.structure.blocks)] * n_tokens]
    answer(vlm, inputs, 2)
    assert len(spent) == 1 + n_tokens, "hooks are gone"
    for counter in counters:
        counter.remove()


def test_every_way_is_timed_on_every_request(bench, vlm) -> None:
    seconds = greedy_loop.compare(bench, vlm, "qa", with_floor=True)
    assert set(seconds) == {"loop", "generate", "modules"}
    assert all((times > 0).all() and len(times) == 8 for times in seconds.values())


def test_ways_that_write_different_tokens_are_not_compared(bench, vlm, monkeypatch) -> None:
    monkeypatch.setattr(greedy_loop, "generate", lambda *_: (1, 2, 3))
    with pytest.raises(UserError, match="differ in tokens"):
        greedy_loop.compare(bench, vlm, "qa", with_floor=False)


def test_a_pipeline_with_something_to_do_is_refused(tmp_path) -> None:
    pipeline_of_one_stage(tmp_path / "one")
    assert no_op(tmp_path / "one") > 0
    (tmp_path / "one" / "one.txt").unlink()
    with pytest.raises(UserError, match="had something to do"):
        no_op(tmp_path / "one")
