"""Dominance: which settings are best, how far a change moves a frontier, and its area."""

import numpy as np
from numpy.typing import NDArray

from m1.analysis.draws.bootstrap import ratio
from m1.analysis.draws.confidence import Draws

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# The point is fixed and not taken from the measured points. So areas can be compared between
# frontiers, workloads and experiments. Its latency is a little beyond that of the reference
# setting, so that the reference setting counts too (Ishibuchi et al. 2018, "How to specify a
# reference point in hypervolume calculation"). Its quality is zero.
REFERENCE_POINT = (1.05, 0.0)
# Of an area, and of what it gains by further settings.
LEAST_AREA = 0.0


def on_frontier(latency: Draws, quality: Draws) -> Mask:
    """Whether no other setting dominates this one.

    A setting dominates another if it is as good and faster, or as fast and better (Pareto
    dominance, Zitzler & Thiele 1999). If two settings are equal, neither dominates.

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
    """Dominated area, bounded by `REFERENCE_POINT` (Zitzler & Thiele 1999), in every draw.

    It is the best quality within a latency budget, summed over all budgets. It is near 1 if even
    the smallest budgets keep the quality. It is 0.05 if only the reference setting has quality.

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN in draws where a fraction is NaN.
    """
    order = np.argsort(latency_fraction, axis=1, kind="stable")
    latency = np.take_along_axis(latency_fraction, order, axis=1)
    # Between two neighbouring latencies the best quality within a budget is constant.
    best = np.maximum.accumulate(np.take_along_axis(quality_fraction, order, axis=1), axis=1)
    bound, worst = REFERENCE_POINT
    starts = np.minimum(np.pad(latency, [(0, 0), (0, 1)], constant_values=bound), bound)
    return np.asarray((np.maximum(best - worst, 0) * np.diff(starts, axis=1)).sum(axis=1))


def steepness(latency_fraction: Draws, quality_fraction: Draws) -> Draws:
    """Share of quality lost per share of latency saved, from the reference to the fastest setting.

    The fastest setting is one end of every frontier. If several are equally fast, the best of them
    counts. The slope starts at the reference setting, not at the setting with the best quality,
    which is the other end of the frontier. Several settings are often nearly as good as the best
    one, but far from each other in latency, and noise decides between them. A slope from there
    would jump, and its interval would not keep its confidence (docs/coverage.md).

    Args:
        latency_fraction: of the reference setting's [n_draws, n_settings].
        quality_fraction: of the reference setting's [n_draws, n_settings].

    Returns:
        [n_draws]; NaN where no setting is faster than the reference, which is in column 0.
    """
    fastest = latency_fraction.min(axis=1)
    as_fast = latency_fraction == fastest[:, None]
    left = np.where(as_fast, quality_fraction, -np.inf).max(axis=1)
    lost, saved = 1 - left, 1 - fastest
    return ratio(lost, saved)


def fastest_keeping(level: float, latency: Draws, quality_fraction: Draws) -> Indices:
    """The fastest setting that keeps a share of the reference quality in each draw [n_draws].

    If no setting is known to keep it, this is the reference setting, in column 0.
    """
    kept = np.where(quality_fraction >= level, latency, np.inf)
    return np.asarray(kept.argmin(axis=1))


def latency_shift(moved: tuple[Draws, Draws], unmoved: tuple[Draws, Draws]) -> Draws:
    """The additional latency that some settings need for the same quality as others.

    It is a mean over a range of qualities. The range starts at the quality of the fastest setting,
    on the side where this is lower. It ends at the best quality that both sides reach. If the range
    is a single quality, the difference at this quality counts.

    Args:
        moved: latency and quality of some settings, each [n_draws, n_settings].
        unmoved: latency and quality of the settings that they are compared with.

    Returns:
        The difference in the unit of latency [n_draws]; NaN in draws where a quality is NaN.
    """
    unknown = np.isnan(moved[1]).any(axis=1) | np.isnan(unmoved[1]).any(axis=1)
    sides = [(latency, np.nan_to_num(quality)) for latency, quality in (moved, unmoved)]
    lowest = np.minimum(*(_of_the_fastest(*side) for side in sides))
    highest = np.minimum(*(quality.max(axis=1) for _, quality in sides))
    bounds = (lowest[:, None], highest[:, None])
    levels = np.sort(np.hstack([*bounds, *(np.clip(q, *bounds) for _, q in sides)]), axis=1)
    # Between two neighbouring levels the fastest setting that is good enough does not change.
    needed = [latency_needed(levels[:, 1:], *side) for side in sides]
    widths, span = np.diff(levels, axis=1), (highest - lowest)[:, None]
    shares = np.divide(widths, span, out=np.full_like(widths, 1 / widths.shape[1]), where=span > 0)
    mean = (shares * (needed[0] - needed[1])).sum(axis=1)
    return np.where(unknown, np.nan, mean)


def latency_needed(levels: Draws, latency: Draws, quality: Draws) -> Draws:
    """Latency of the fastest setting that is as good as each level [n_draws, n_levels].

    Args:
        levels: qualities [n_draws, n_levels].
        latency: [n_draws, n_settings].
        quality: [n_draws, n_settings].
    """
    good = quality[:, None, :] >= levels[:, :, None]
    return np.asarray(np.where(good, latency[:, None, :], np.inf).min(axis=2))


def _of_the_fastest(latency: Draws, quality: Draws) -> Draws:
    """Quality of the fastest setting; of equally fast ones, the best [n_draws]."""
    fastest = latency == latency.min(axis=1, keepdims=True)
    return np.asarray(np.where(fastest, quality, -np.inf).max(axis=1))
