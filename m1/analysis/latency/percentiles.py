"""Percentiles and their upper bounds by order statistics, without assuming a distribution.

Of n independent requests, the number that is faster than a percentile is binomial. A percentile is
reported only if the sample gives an upper confidence bound for it. The bound is reported as well.
MLPerf's load generator is as careful: its early stopping reports only the bound. Requests about
one image are treated as independent.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from m1.analysis.draws.bootstrap import Resamples
from m1.analysis.draws.confidence import Draws
from m1.analysis.draws.intervals import estimate
from m1.schemas.results import Estimate

PERCENTILES: Mapping[str, float] = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def too_small_for(n: int, confidence: float) -> dict[str, str]:
    """The percentiles that cannot be reported from n requests, and why."""
    needed = {name: requests_needed(q, confidence) for name, q in PERCENTILES.items()}
    return {
        name: f"{n} requests; at {confidence:.0%} confidence it takes {least}"
        for name, least in needed.items()
        if n < least
    }


def estimate_percentiles(
    times_ms: Draws, images: Sequence[str], resamples: Resamples
) -> dict[str, Estimate | None]:
    """Each percentile with its interval; `None` if the sample is too small for it.

    Args:
        times_ms: [n_requests].
        images: the image of each request.
        resamples: draws of their clusters.
    """
    confidence = resamples.confidence
    missing = too_small_for(len(images), confidence.share)
    return {
        name: None
        if name in missing
        else estimate(resamples.quantile(times_ms[:, None], images, q)[:, 0], confidence)
        for name, q in PERCENTILES.items()
    }


def requests_needed(q: float, confidence: float) -> int:
    """Smallest n with 1 - q^n >= confidence.

    With fewer requests even the slowest of them may well be faster than the percentile (the
    distribution-free bound of Wilks 1941): 59 for P95 and 299 for P99 at 95 %.
    """
    return math.ceil(math.log(1 - confidence) / math.log(q))


def upper_bounds(times_ms: Sequence[float], confidence: float) -> dict[str, float]:
    """The upper bound of each percentile that the sample is large enough for."""
    bounds = {name: upper_bound(times_ms, q, confidence) for name, q in PERCENTILES.items()}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def upper_bound(times_ms: Sequence[float], q: float, confidence: float) -> float | None:
    """The smallest latency in the sample that is an upper confidence bound of the percentile.

    The k-th fastest of n requests is such a bound if the probability that at least k of n are
    faster than the percentile is at most 1 - confidence.

    Returns:
        The latency in ms, or `None` if not even the slowest request is a bound.
    """
    times = np.sort(np.asarray(times_ms, dtype=np.float64))
    fewer_than_k = np.cumsum(binomial_probabilities(len(times), q))[:-1]
    enough = np.flatnonzero(fewer_than_k >= confidence)
    return float(times[enough[0]]) if len(enough) else None


def binomial_probabilities(n: int, q: float) -> NDArray[np.float64]:
    """Probability that 0, 1, ... n of n requests are faster than the q-th quantile [n + 1]."""
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(q) + (n - k) * math.log1p(-q)
        for k in range(n + 1)
    ]  # fmt: skip
    probabilities: NDArray[np.float64] = np.exp(logs)
    return probabilities
