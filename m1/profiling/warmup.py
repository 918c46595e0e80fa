"""Warm-up: the same requests again and again, until two windows agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from m1.terminal import Terminal

# The time between two lines without a terminal. A window may take minutes.
LINE_S = 10.0


class WarmUpProgress:
    """Shows the current window, requests and time so far, and the change between the last two."""

    def __init__(
        self,
        limit: int,
        console: Terminal | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Start before the first window; `limit` is the largest number of windows."""
        self.limit, self.now = limit, now
        self.console = console or Terminal(stderr=True)
        self.started = self.told_at = now()
        self.n_windows = self.n_requests = 0
        self.change: float | None = None
        self.line = self.console.status(self._text()) if self.console.is_terminal else None

    def __enter__(self) -> Self:
        """Start to show the progress line."""
        if self.line:
            self.line.start()
        else:
            self.console.print(self._text(), soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Restore the terminal, and say how warm-up ended."""
        if self.line:
            self.line.stop()
        if kind is None:
            text = f"warmed up: {self.n_windows} windows, {self._so_far()}"
            self.console.print(text, soft_wrap=True)

    def request_done(self) -> None:
        """Count a request."""
        self.n_requests += 1
        self._show(due=self.now() - self.told_at >= LINE_S)

    def window_done(self, n_windows: int, change: float | None) -> None:
        """Note a window, and the relative change from the window before, if there is one."""
        self.n_windows, self.change = n_windows, change

    def _show(self, *, due: bool) -> None:
        if self.line:
            self.line.update(self._text())
        elif due:
            self.told_at = self.now()
            self.console.print(self._text(), soft_wrap=True)

    def _text(self) -> str:
        return f"warming up: window {self.n_windows + 1} of at most {self.limit}, {self._so_far()}"

    def _so_far(self) -> str:
        so_far = f"{self.n_requests} requests in {self.now() - self.started:.0f} s"
        if self.change is None:
            return so_far
        return f"{so_far}, {self.change:+.1%} from the last but one window to the last"


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
