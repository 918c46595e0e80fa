"""Bootstrap intervals of repeated measurements."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from m1.analysis.draws.confidence import Confidence
from m1.analysis.draws.intervals import estimate
from m1.schemas.results.estimates import Estimate

Array = NDArray[np.float64]
Rng = np.random.Generator

N_RESAMPLES = 2000
CONFIDENCE = Confidence(0.95)


def median_estimate(values: Array, rng: Rng) -> Estimate:
    """The median [n] with its percentile interval."""
    return bootstrapped(len(values), lambda drawn: float(np.median(values[drawn])), rng)


def bootstrapped(n: int, statistic: Callable[[NDArray[np.intp]], float], rng: Rng) -> Estimate:
    """A statistic of n measurements, with its interval. It is given the indices that are drawn."""
    resamples = rng.integers(n, size=(N_RESAMPLES, n))
    draws = [statistic(drawn) for drawn in (np.arange(n), *resamples)]
    return estimate(np.array(draws), CONFIDENCE)


def interleaved(
    ways: dict[str, Callable[[int], float]], n: int, rng: Rng, n_warm: int = 1
) -> dict[str, Array]:
    """Measure several ways side by side, in a new random order for each item.

    Args:
        ways: each way measures the i-th item and returns its cost.
        n: number of items.
        rng: source of the random orders.
        n_warm: number of items, from the first on, that are measured once before as warm-up.

    Returns:
        The cost of each item by each way [n].
    """
    names = list(ways)
    costs = {name: np.empty(n) for name in names}
    for i in (*range(n_warm), *range(n)):
        for k in rng.permutation(len(names)):
            costs[names[k]][i] = ways[names[k]](i)
    return costs
