"""Requests that are interrupted are noted, measured again and counted; honest tails are not."""

import time
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
from faked_run import WORLD, FakedRun, orders, raising, undisturbed
from pyarrow.parquet import read_table
from stopped_run import STOP_S
from test_profiling_validity import LIMITS
from whole_run import ROOT, SMALL, merged, prepare, tiny_model, write_params

from m1.files import read_record, read_rows
from m1.profiling.cell import Cell
from m1.profiling.interruptions import LEAST_KNOWN, MOST_ATTEMPTS, Undisturbed, check_interruptions
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.request import Attempt
from m1.profiling.timing.standstill import NS_PER_MS, Elapsed, ThreadClocks, elapsed
from m1.schemas.profile import Interruption, MeasuredRequest, ProfileRun
from m1.schemas.requests import Request

RECORDED = sorted((ROOT / "data/runs/h200/profile").glob("*/rows.parquet"))
Change = Callable[[MeasuredRequest], Attempt]


# What clocks tell


def clocks(wall=0.0, ran=0.0, waited=0.0, asleep=0.0) -> ThreadClocks:
    return ThreadClocks(*(int(ms * NS_PER_MS) for ms in (wall, ran, waited, asleep)))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        # As fast as ever; on a core all the time, or waiting for one two thirds of it.
        (clocks(wall=30, ran=30), None),
        (clocks(wall=900, ran=300, waited=599), None),
        # Shorter than what a scheduler may do, or little of a long request.
        (clocks(wall=120, ran=30), None),
        (clocks(wall=60_000, ran=50_000), None),
        (clocks(wall=2030, ran=30), "the process stood still for 2000 of 2030 ms"),
        (clocks(wall=50_000, ran=30_000), "the process stood still for 20000 of 50000 ms"),
        # The clock that counts stands still, too, while the machine is suspended.
        (clocks(wall=30, ran=30, asleep=60_000), "the machine was suspended for 60000 ms"),
    ],
)
def test_time_without_running_is_a_standstill(after, told) -> None:
    seen = elapsed(after.wall_ns / NS_PER_MS, clocks(), after)
    assert (seen.suspension or seen.standstill) == told


def test_work_is_no_standstill_and_sleep_is() -> None:
    before, started = ThreadClocks.read(), time.perf_counter()
    while time.perf_counter() - started < 0.15:
        pass
    worked = elapsed(150.0, before, ThreadClocks.read())
    assert (worked.standstill, worked.suspension) == (None, None)
    before = ThreadClocks.read()
    time.sleep(0.15)
    assert elapsed(150.0, before, ThreadClocks.read()).standstill is not None


def test_reading_the_clocks_costs_next_to_nothing() -> None:
    started = time.perf_counter()
    for _ in range(100):
        ThreadClocks.read()
    # 20 us each where nothing else is at work, twice a request and outside of what is timed.
    assert (time.perf_counter() - started) / 100 < 2e-3


# What is done about it


@pytest.fixture
def run(vlm, tmp_path, monkeypatch) -> FakedRun:
    return FakedRun(vlm, tmp_path / "journal", monkeypatch)


def stopped(row: MeasuredRequest, ms: float = 2000) -> Attempt:
    """Stopped for two seconds, or for another time."""
    row = row.model_copy(update={"total_ms": row.total_ms + ms})
    return Attempt(row, Elapsed(row.preprocess_ms), Elapsed(row.total_ms, still_ms=ms))


def slow(row: MeasuredRequest) -> Attempt:
    """Twenty times as long, and no clock says why."""
    return undisturbed(row.model_copy(update={"total_ms": 20 * row.total_ms}))


def interrupting(run, at: int, change: Change, times: int = 1) -> None:
    """Change the first attempts at one request."""
    left = [times]

    def attempted(row: MeasuredRequest) -> Attempt:
        if row.order == at and left[0]:
            left[0] -= 1
            return change(row)
        return undisturbed(row)

    run.attempted = attempted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (stopped, "while answering, the process stood still for 2000 of"),
        (slow, "it took 20 times the median of its cell"),
        (
            lambda row: Attempt(row, Elapsed(2001, still_ms=2000), Elapsed(row.total_ms)),
            "while preprocessing, the process stood still for 2000 of 2001 ms",
        ),
    ],
)
def test_an_interrupted_request_is_noted_and_measured_again_at_once(run, change, reason) -> None:
    interrupting(run, 70, change)
    measured = run.go()
    assert orders(measured.rows) == list(range(run.n_planned))
    assert len({row.total_ms for row in measured.rows}) == 1
    place = run.begun.index(70)
    assert run.begun[place : place + 3] == [70, 70, 71]
    assert measured.seen.interruptions is not None
    (one,) = measured.seen.interruptions
    assert (one.order, one.kept) == (70, False)
    assert one.reason.startswith(reason)


@pytest.mark.parametrize("change", [stopped, slow])
def test_a_request_that_is_always_interrupted_counts_and_fails_the_check(run, change) -> None:
    factor = iter([1, 3, 9])  # Each time another: it is not the request that is slow.
    if change is slow:
        interrupting(
            run,
            70,
            lambda row: slow(row.model_copy(update={"total_ms": row.total_ms * next(factor)})),
            MOST_ATTEMPTS,
        )
    else:
        interrupting(run, 70, change, MOST_ATTEMPTS)
    measured = run.go()
    assert orders(measured.rows) == list(range(run.n_planned))
    assert run.begun.count(70) == MOST_ATTEMPTS
    seen = measured.seen.interruptions
    assert seen is not None
    assert [one.kept for one in seen] == [False, False, True]
    checks = {c.name: c for c in check_interruptions(seen, len(measured.rows), LIMITS)}
    assert not checks["interrupted_rows"].passed
    assert "1, above 0" in checks["interrupted_rows"].detail


def test_a_request_that_is_slow_each_time_is_no_interruption(run) -> None:
    interrupting(run, 70, slow, times=MOST_ATTEMPTS)
    measured = run.go()
    assert run.begun.count(70) == 2
    assert measured.seen.interruptions == ()
    usual = measured.rows[0].total_ms
    assert [row.total_ms for row in measured.rows if row.order == 70] == [20 * usual]


@pytest.mark.parametrize(
    ("tokens", "times"), [(30, 30), (1, 5)], ids=["a long output", "a short one"]
)
def test_lengths_of_outputs_interrupt_nothing(run, tokens, times) -> None:
    def other(row: MeasuredRequest) -> Attempt:
        n = row.n_output_tokens * tokens if tokens > 1 else 1
        longer = {"total_ms": times * row.total_ms, "n_output_tokens": n}
        return undisturbed(row.model_copy(update=longer))

    interrupting(run, 70, other)
    assert run.go().seen.interruptions == ()
    assert run.begun.count(70) == 1


def test_interruptions_of_warm_up_do_not_count_in_its_windows(run) -> None:
    n_left = [4]
    usual: set[float] = set()

    def attempted(row: MeasuredRequest) -> Attempt:
        if row.order < 0 and n_left[0]:
            n_left[0] -= 1
            # Windows last longer by the time that was lost.
            return stopped(row, ms=200)
        usual.add(row.total_ms)
        return undisturbed(row)

    run.attempted = attempted
    measured = run.go()
    assert measured.seen.warmup.change == 0
    assert measured.seen.interruptions == ()
    assert len(usual) == 1


def test_a_killed_run_still_knows_its_interruptions(run) -> None:
    interrupting(run, 40, stopped)
    run.before = raising(KeyboardInterrupt(), lambda _, planned: planned.order == 50)
    with pytest.raises(KeyboardInterrupt):
        run.go()
    run.before = lambda one, planned: None
    measured = run.go()
    assert orders(measured.rows) == list(range(run.n_planned))
    assert measured.seen.interruptions is not None
    assert [one.order for one in measured.seen.interruptions] == [40]


def test_on_a_gpu_a_thread_that_waits_without_running_tells_nothing(run) -> None:
    (row, *_) = run.go().rows

    def attempts(usual_still_ms: float) -> list[int]:
        seen: list[int] = []

        def attempt(_: Round, planned: Planned) -> Attempt:
            seen.append(planned.order)
            still = 150.0 if len(seen) == 8 else usual_still_ms
            found = row.model_copy(update={"order": planned.order})
            return Attempt(found, Elapsed(1.0), Elapsed(300.0, still_ms=still))

        with run.open(code="1") as journal:
            steady = Undisturbed(journal, attempt, on_gpu=True)
            for order in range(10):
                steady.measure(ROUND, Planned(REQUEST, order=order))
        return seen

    assert len(attempts(usual_still_ms=120.0)) == 10
    assert len(attempts(usual_still_ms=0.1)) == 11


def test_on_a_gpu_a_cell_that_begins_with_a_stop_is_known_by_the_others(run) -> None:
    (row, *_) = run.go().rows
    seen: list[int] = []

    def attempt(_: Round, planned: Planned) -> Attempt:
        seen.append(planned.order)
        # Each a cell of its own, of which nothing is known.
        found = row.model_copy(update={"order": planned.order, "vision_tokens": planned.order + 1})
        stops = planned.order == 8 and seen.count(8) == 1
        return Attempt(found, Elapsed(1.0), Elapsed(3300.0, still_ms=3000.0 if stops else 0.1))

    with run.open(code="1") as journal:
        steady = Undisturbed(journal, attempt, on_gpu=True)
        for order in range(10):
            steady.measure(ROUND, Planned(REQUEST, order=order))
        assert [one.order for one in journal.interruptions] == [8]
    assert seen == [*range(8), 8, 8, 9]


ROUND = Round("e1", 0, "qa", WORLD.grid[0], "free", ())
REQUEST = Request(
    request_id="1", image_id="1", image="1.png", prompt="What?", references=("this",), kind=None
)


# Recorded rows, and stops planted in them


def replayed(path: Path, run: FakedRun, plant: Change) -> tuple[int, list[Interruption], int]:
    """Rows of a recorded run as if measured now: how many, interruptions, further attempts.

    Args:
        path: the rows.
        run: whose journal is used.
        plant: what each fiftieth request's first attempt becomes.
    """
    records = read_table(path).to_pylist()
    # Whole numbers beside nulls are kept as 8.0.
    rows = [MeasuredRequest.model_validate(record, strict=False) for record in records]
    rows.sort(key=lambda row: row.order)
    firsts = {Cell.of(row)[1:]: row.model_copy(update={"order": -1}) for row in reversed(rows)}
    warm_up = [row for row in firsts.values() for _ in range(LEAST_KNOWN)]
    attempts: list[int] = []

    def attempt(_: Round, planned: Planned) -> Attempt:
        if planned.order < 0:
            return undisturbed(warm_up[planned.order])
        row = rows[planned.order]
        is_first = planned.order not in attempts
        attempts.append(planned.order)
        return plant(row) if is_first and planned.order % 50 == 49 else undisturbed(row)

    with run.open(code=str(path)) as journal:
        steady = Undisturbed(journal, attempt, on_gpu=True)
        for i in range(len(warm_up)):
            steady.measure(ROUND, Planned(REQUEST, order=-1 - i))
        kept = [steady.measure(ROUND, Planned(REQUEST, order=row.order)) for row in rows]
        assert kept == rows
        return len(rows), list(journal.interruptions), len(attempts) - len(rows)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_no_row_of_the_recorded_runs_is_taken_for_an_interruption(path, run) -> None:
    n_rows, found, n_again = replayed(path, run, undisturbed)
    assert n_rows > 300
    assert (found, n_again) == ([], 0)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_stops_planted_in_recorded_runs_are_all_found(path, run) -> None:
    def plant(row: MeasuredRequest) -> Attempt:
        return undisturbed(row.model_copy(update={"total_ms": row.total_ms + 20_000}))

    n_rows, found, _ = replayed(path, run, plant)
    assert [one.order for one in found] == list(range(49, n_rows, 50))


# A real stop


def test_a_process_that_is_stopped_measures_those_requests_again(tmp_path) -> None:
    prepare(tmp_path, write_params(tmp_path, merged(SMALL, tiny_model(tmp_path))))
    done = forked.run(forked.Program("stopped_run", [str(tmp_path)], ROOT))
    assert done.returncode == 0, done.stderr
    rows = read_rows(MeasuredRequest, tmp_path / "out" / "rows.parquet")
    found = read_record(ProfileRun, tmp_path / "out" / "run.json").interruptions
    assert found is not None
    # The stopped request of warm-up is not in the rows.
    assert sorted(one.experiment for one in found) == ["anchor", "e1", "e2", "observer"]
    assert all("the process stood still" in one.reason for one in found)
    assert not any(one.kept for one in found)
    assert min(one.total_ms for one in found) > 1000 * STOP_S > rows["total_ms"].max()
    assert len(rows) == 56


# The check


def interruption(order: int, kept: bool = False) -> Interruption:
    return Interruption(
        order=order,
        experiment="e1",
        workload="qa",
        request_id="1",
        total_ms=2030.0,
        reason="while answering, the process stood still for 2000 of 2030 ms",
        kept=kept,
    )


def test_more_interruptions_than_a_p99_bears_fail_the_check() -> None:
    for n, passed in ((0, True), (5, True), (6, False)):
        check, rest = check_interruptions([interruption(i) for i in range(n)], 1000, LIMITS)
        assert (check.name, check.passed, rest.passed) == ("interruptions", passed, True)
        assert check.value == pytest.approx(n / (1000 + n))
    assert "(6, the first of them: while answering, the process stood still" in check.detail


def test_a_run_of_before_has_none_recorded_and_is_not_judged_by_them() -> None:
    (check,) = check_interruptions(None, 1000, LIMITS)
    assert (check.value, check.passed) == (None, True)
    for path in RECORDED:
        run = read_record(ProfileRun, path.with_name("run.json"))
        if run.n_processes == 1:  # of an earlier version
            assert (run.interruptions, run.end_tokens) == (None, None)
