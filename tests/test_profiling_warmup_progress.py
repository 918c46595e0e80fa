"""Warm-up shows that it moves."""

import io

from m1.profiling.warmup import WarmUpProgress
from m1.terminal import Terminal


def shown(*, terminal: bool = False, request_s: float = 4.0) -> list[str]:
    """What two windows of three requests show, in lines."""
    page, clock = io.StringIO(), [0.0]
    console = Terminal(file=page, width=200, force_terminal=terminal, color_system=None)
    with WarmUpProgress(10, console, lambda: clock[0]) as progress:
        for n_windows, change in ((1, None), (2, -0.031)):
            for _ in range(3):
                clock[0] += request_s
                progress.request_done()
            progress.window_done(n_windows, change)
    return page.getvalue().splitlines()


END = "6 requests in 24 s, -3.1% from the last but one window to the last"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    assert shown() == [
        "warming up: window 1 of at most 10, 0 requests in 0 s",
        "warming up: window 1 of at most 10, 3 requests in 12 s",
        "warming up: window 2 of at most 10, 6 requests in 24 s",
        f"warmed up: 2 windows, {END}",
    ]
    assert len(shown(request_s=0.1)) == 2


def test_in_a_terminal_the_line_changes() -> None:
    page = "\n".join(shown(terminal=True))
    assert "warming up: window 2 of at most 10, 6 requests in 24 s" in page
    assert page.endswith(f"warmed up: 2 windows, {END}")
