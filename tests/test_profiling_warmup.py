"""Warm-up continues until two windows agree, and says so where they never do."""

from collections.abc import Iterator

import pytest

from m1.profiling.warmup import WarmUp, Window, warm_up

TWO_CELLS = Window(n_requests=2, duration_s=0.0)


def warmed(passes, tolerance=0.1, window=TWO_CELLS, limit=10, pass_s=1.0) -> tuple[WarmUp, int]:
    """How warm-up ended on recorded passes, and how many it took."""
    taken: list[object] = []
    left: Iterator[list[float]] = iter(passes)

    def one_pass() -> list[float]:
        taken.append(None)
        return next(left)

    return warm_up(one_pass, tolerance, window, limit, lambda: len(taken) * pass_s), len(taken)


def both(times) -> list[list[float]]:
    """Passes over two cells, one ten times as slow as the other."""
    return [[time, 10 * time] for time in times]


def test_it_ends_on_a_plateau() -> None:
    ended, n_passes = warmed(both([10, 7, 5, 4.9, 1]))
    assert (ended.n_windows, n_passes) == (4, 4)
    assert ended.change == pytest.approx(-0.02)


def test_it_gives_up_at_its_limit_and_tells_the_change() -> None:
    ended, n_passes = warmed(both([16, 8, 4, 2]), limit=3)
    assert (ended.n_windows, n_passes) == (3, 3)
    assert ended.change == pytest.approx(-0.5)


def test_windows_have_as_many_requests_and_last_as_long_as_asked() -> None:
    assert warmed(both([5] * 30), window=Window(7, 0))[1] == 8
    assert warmed(both([5] * 30), window=Window(1, 10))[1] == 20
    assert warmed(both([5] * 30), window=Window(1, 10), pass_s=20)[1] == 2


def test_one_slow_cell_counts_as_much_as_a_fast_one() -> None:
    fast_is_cold = [[20, 100], [10, 100], [10, 100]]
    ended, _ = warmed(fast_is_cold)
    assert (ended.n_windows, ended.change) == (3, 0)


def test_one_interrupted_pass_in_a_window_does_not_count() -> None:
    passes = both([5] * 3 + [5, 50, 5])
    assert warmed(passes, window=Window(6, 0))[0] == WarmUp(change=0.0, n_windows=2)
