"""Geometry of frontiers: less latency and more quality, in every draw at once."""

import numpy as np
from numpy.typing import NDArray

from m1.analysis.bootstrap import Draws

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Fixed, not taken from the measured points: areas then compare between frontiers, workloads and
# experiments. It lies a little beyond the reference setting's latency, so that the reference
# setting counts too (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume
# calculation"), and at no quality at all.
REFERENCE_POINT = (1.05, 0.0)
# Of an area, and of what it gains by further settings.
LEAST_AREA = 0.0


def on_frontier(latency: Draws, quality: Draws) -> Mask:
    """Whether no other setting dominates: as good and faster, or as fast and better.

    Pareto dominance (Zitzler & Thiele 1999); of two equal settings neither dominates.

    Args:
        latency: [n_draws, n_settings].
        quality: [n_draws, n_settings].

    Returns:
        [n_draws, n_settings].
    """
    # Axes: draw, setting that may be dominated, setting that may dominate it.
    latency, other_latency = latency[:, :, None], latency[:, None, :]
    quality, other_quality = quality[:, :, None], quality[:, None, :]
    no_better = (latency >= other_latency) & (quality <= other_quality)
    worse = (latency > other_latency) | (quality < other_quality)
    return np.asarray(~(no_better & worse).any(axis=2))


def hypervolume(latency_fraction: Draws, quality_fraction: Draws) -> Draws:
    """Area dominated, bounded by `REFERENCE_POINT` (Zitzler & Thiele 1999), in all draws at once.

    It is the best quality within a latency budget, summed over budgets: near 1 where quality
    holds however little time there is, 0.05 where only the reference setting is any good.

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN where a fraction is.
    """
    order = np.argsort(latency_fraction, axis=1, kind="stable")
    latency = np.take_along_axis(latency_fraction, order, axis=1)
    # The best quality that each further budget buys, from where it begins to the next.
    best = np.maximum.accumulate(np.take_along_axis(quality_fraction, order, axis=1), axis=1)
    bound, worst = REFERENCE_POINT
    starts = np.minimum(np.pad(latency, [(0, 0), (0, 1)], constant_values=bound), bound)
    return np.asarray((np.maximum(best - worst, 0) * np.diff(starts, axis=1)).sum(axis=1))


def steepness(latency_fraction: Draws, quality_fraction: Draws) -> Draws:
    """Share of quality lost per share of latency saved, from the reference to the fastest setting.

    The fastest setting (the best of several that are as fast) is one end of every frontier. The
    other end, the best setting, is a choice among several that noise can hardly tell apart, far
    from each other in latency: a slope from there jumps, and no interval of it holds what it says
    (docs/coverage.md). The reference setting stays where it is.

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN where no setting is faster than the reference, in column 0.
    """
    fastest = latency_fraction.min(axis=1)
    as_fast = latency_fraction == fastest[:, None]
    left = np.where(as_fast, quality_fraction, -np.inf).max(axis=1)
    lost, saved = 1 - left, 1 - fastest
    unknown = np.full_like(lost, np.nan)
    return np.asarray(np.divide(lost, saved, out=unknown, where=saved > 0))


def fastest_keeping(level: float, latency: Draws, quality_fraction: Draws) -> Indices:
    """The fastest setting that keeps a share of the reference quality in each draw [n_draws].

    Where no setting is known to keep it, that is the reference setting, in column 0.
    """
    kept = np.where(quality_fraction >= level, latency, np.inf)
    return np.asarray(kept.argmin(axis=1))
