"""Warm-up: the same requests again and again, until two windows agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
OnePass = Callable[[], Sequence[float]]
# Called after each window with the number of windows and the change from the window before, if any.
Report = Callable[[int, float | None], object]


@dataclass(frozen=True)
class Window:
    """The smallest length of a window. Both limits have to be reached."""

    n_requests: int
    duration_s: float


@dataclass(frozen=True)
class WarmUp:
    """How warm-up ended."""

    change: float
    """Relative change between the last two windows; above the tolerance if there is no plateau."""
    n_windows: int
    """Windows that were run."""


def warm_up(
    one_pass: OnePass,
    tolerance: float,
    window: Window,
    limit: int,
    now: Callable[[], float] = monotonic,
    report: Report = lambda n_windows, changed: None,
) -> WarmUp:
    """Run windows until the last two agree, or the limit is reached.

    Args:
        one_pass: measures the same requests in every cell once; returns their times, always in
            the same order.
        tolerance: relative difference at which two windows agree.
        window: the smallest length of a window; passes are never cut.
        limit: the largest number of windows; at least 2 are run.
        now: a clock in seconds.
        report: called after each window.
    """
    windows: list[Times] = []
    while len(windows) < 2 or (abs(change(windows)) > tolerance and len(windows) < limit):
        windows.append(_run_window(one_pass, window, now))
        report(len(windows), change(windows) if len(windows) > 1 else None)
    return WarmUp(change(windows), len(windows))


def _run_window(one_pass: OnePass, window: Window, now: Callable[[], float]) -> Times:
    """Run passes until the window is long enough; return the median time of each request."""
    started, passes = now(), [one_pass()]
    while sum(map(len, passes)) < window.n_requests or now() - started < window.duration_s:
        passes.append(one_pass())
    return np.median(np.array(passes, dtype=np.float64), axis=0)


def change(windows: Sequence[Times]) -> float:
    """Relative change from the last but one window to the last. All requests count equally.

    Requests that could not be measured (NaN) are left out.
    """
    before, after = windows[-2:]
    return float(np.exp(np.nanmean(np.log(after / before))) - 1)
