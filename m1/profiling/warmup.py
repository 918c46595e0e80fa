"""Warm-up: the same requests again and again, until two windows agree."""

from collections.abc import Callable, Sequence

Window = Callable[[], float]


def warm_up(window: Window, tolerance: float, limit: int) -> float:
    """Run windows until the last two agree, or the limit is reached.

    Args:
        window: runs a fixed set of requests once and returns its time.
        tolerance: relative difference at which two windows agree.
        limit: windows at the most; 2 are always run.

    Returns:
        The relative change between the last two windows; above the tolerance where no plateau
        was reached.
    """
    times = [window(), window()]
    while abs(change(times)) > tolerance and len(times) < limit:
        times.append(window())
    return change(times)


def change(times: Sequence[float]) -> float:
    """Relative change from the last but one time to the last."""
    before, after = times[-2:]
    return after / before - 1
