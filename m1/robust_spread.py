"""The spread of latencies, measured so that a few odd values do not decide it."""

from collections.abc import Iterable, Sequence
from statistics import median

# Makes a median absolute deviation comparable with a standard deviation (normal distribution).
MAD_TO_SD = 1.4826


def robust_spread(values: Sequence[float]) -> float:
    """Median absolute deviation as a share of the median, on the scale of a standard deviation."""
    middle = median(values)
    return MAD_TO_SD * median(abs(value - middle) for value in values) / middle


def ratios_to_own_median(times: Iterable[Sequence[float]]) -> list[float]:
    """Each latency as a multiple of its request's median, for requests with several latencies.

    Args:
        times: the latencies of each request.
    """
    return [time / median(own) for own in times if len(own) > 1 for time in own]
