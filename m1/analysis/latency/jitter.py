"""How much latency varies because of the requests, and how much because of the machine.

If the same request is measured in every trial, only the machine makes its latency vary (jitter).
Different requests vary more than that. The additional variation is their own (heterogeneity).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.robust_spread import ratios_to_own_median, robust_spread
from m1.schemas.results.estimates import Estimate, TailCause, Variation

LEAST_REPEATS = 20
TAILS: Mapping[str, float] = {"p95_ms": 0.95, "p99_ms": 0.99}


def variation_of(
    total_ms: NDArray[np.float64],
    repeats: pd.DataFrame,
    percentiles: Mapping[str, Estimate | None],
) -> Variation | None:
    """Separate jitter from the variation between requests, for one workload.

    Args:
        total_ms: latencies of E1, one for each request.
        repeats: rows of requests that were measured several times.
        percentiles: the percentiles of E1 that are available.

    Returns:
        Both spreads, and which of them explains the tail; `None` if no request was repeated.
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
        tail_cause=_tail_causes(ratios, percentiles),
    )


def _tail_causes(
    ratios: Sequence[float], percentiles: Mapping[str, Estimate | None]
) -> dict[str, TailCause]:
    """The cause of each percentile above the median; empty if there are too few repeats.

    The same percentile of the repeats shows how far it would be from the median if all requests
    were alike. Distances are logarithms. Their squares add up, as for independent causes.
    """
    median_ms = percentiles.get("p50_ms")
    if median_ms is None or len(ratios) < LEAST_REPEATS:
        return {}
    known = {name: percentile for name in TAILS if (percentile := percentiles.get(name))}
    return {
        name: cause(
            math.log(float(np.quantile(ratios, TAILS[name]))),
            math.log(percentile.value / median_ms.value),
        )
        for name, percentile in known.items()
    }


def cause(by_jitter: float, observed: float) -> TailCause:
    """The machine is the cause if jitter explains at least half of the squared distance."""
    return "machine" if by_jitter**2 >= observed**2 / 2 else "requests"
