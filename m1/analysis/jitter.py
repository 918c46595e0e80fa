"""How much of the variation of latency is the requests', and how much the machine's.

The same request measured in every trial varies by the machine alone (jitter). What different
requests vary beyond that is their own (heterogeneity).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.schemas.estimates import Estimate, TailCause, Variation
from m1.spread import ratios_to_own_median, robust_spread

LEAST_REPEATS = 20
TAILS: Mapping[str, float] = {"p95_ms": 0.95, "p99_ms": 0.99}


def variation_of(
    total_ms: NDArray[np.float64],
    repeats: pd.DataFrame,
    percentiles: Mapping[str, Estimate | None],
) -> Variation | None:
    """Tell jitter from the variation between requests, for one workload.

    Args:
        total_ms: latencies of E1, one of each request.
        repeats: rows of requests that were measured again and again.
        percentiles: those of E1, as far as they are available.

    Returns:
        Both spreads, and which of them the tail is about; `None` where no request was repeated.
    """
    times = (list(own) for _, own in repeats.groupby("request_id")["total_ms"])
    ratios = ratios_to_own_median(times)
    if not ratios:
        return None
    jitter, observed = robust_spread(ratios), robust_spread(list(total_ms))
    between = math.sqrt(max(0.0, observed**2 - jitter**2))
    return Variation(
        n_requests=repeats["request_id"].nunique(),
        n_measurements=len(ratios),
        jitter=jitter,
        between_requests=between,
        request_share=(between / observed) ** 2 if observed else 0.0,
        tail_cause=tail_causes(ratios, percentiles),
    )


def tail_causes(
    ratios: Sequence[float], percentiles: Mapping[str, Estimate | None]
) -> dict[str, TailCause]:
    """What each percentile above the median is about; none with too few repeats to tell.

    The same percentile of the repeats says how far from the median it would be were all requests
    alike. Distances are logarithms and add as squares, as those of independent causes do.
    """
    median_ms = percentiles.get("p50_ms")
    if median_ms is None or len(ratios) < LEAST_REPEATS:
        return {}
    known = {name: found for name in TAILS if (found := percentiles.get(name))}
    return {
        name: cause(
            math.log(float(np.quantile(ratios, TAILS[name]))),
            math.log(found.value / median_ms.value),
        )
        for name, found in known.items()
    }


def cause(by_jitter: float, observed: float) -> TailCause:
    """The machine where jitter explains half of the squared distance or more."""
    return "machine" if by_jitter**2 >= observed**2 / 2 else "requests"
