"""Geometry of frontiers: less latency and more quality, in every draw at once."""

from typing import TypeVar

import moocore
import numpy as np
from numpy.typing import NDArray

from m1.analysis.bootstrap import Draws

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
A = TypeVar("A", bound=np.generic)

# Fixed, not taken from the measured points: areas then compare between frontiers, workloads and
# experiments. It lies a little beyond the reference setting's latency, so that the reference
# setting counts too (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume
# calculation"), and at no quality at all.
REFERENCE_POINT = (1.05, 0.0)


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
    """Area dominated, bounded by `REFERENCE_POINT` (Zitzler & Thiele 1999).

    It is the best quality within a latency budget, summed over budgets: near 1 where quality
    holds however little time there is, 0.05 where only the reference setting is any good.

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN where a fraction is.
    """
    points = np.stack([latency_fraction, quality_fraction], axis=2)
    return np.array([_area(draw) for draw in points])


def _area(points: Draws) -> float:
    if np.isnan(points).any():
        return float("nan")
    return float(moocore.hypervolume(points, ref=REFERENCE_POINT, maximise=[False, True]))


def steepness(latency_fraction: Draws, quality_fraction: Draws) -> Draws:
    """Share of quality lost per share of latency saved, from the best to the fastest point.

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN where the frontier is a single point.
    """
    frontier = on_frontier(latency_fraction, quality_fraction)
    best = np.where(frontier, quality_fraction, -np.inf).argmax(axis=1)
    fastest = np.where(frontier, latency_fraction, np.inf).argmin(axis=1)
    lost = picked(quality_fraction, best) - picked(quality_fraction, fastest)
    saved = picked(latency_fraction, best) - picked(latency_fraction, fastest)
    return np.divide(lost, saved, out=np.full_like(lost, np.nan), where=saved > 0)


def fastest_keeping(level: float, latency: Draws, quality_fraction: Draws) -> Indices:
    """The fastest setting that keeps a share of the reference quality in each draw [n_draws].

    Where no setting is known to keep it, that is the reference setting, in column 0.
    """
    kept = np.where(quality_fraction >= level, latency, np.inf)
    return np.asarray(kept.argmin(axis=1))


def picked(values: NDArray[A], index: Indices) -> NDArray[A]:
    """One column of each row [n_draws]."""
    return np.take_along_axis(values, index[:, None], axis=1)[:, 0]
