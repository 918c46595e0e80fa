"""How far one frontier lies from another, in latency.

The mean distance at equal quality, as between rate-distortion curves in video coding (Bjontegaard
2001, "Calculation of average PSNR differences between RD-curves"), here between stepped frontiers
and along latency itself, not its logarithm.
"""

import numpy as np

from m1.analysis.bootstrap import Draws


def latency_shift(moved: tuple[Draws, Draws], unmoved: tuple[Draws, Draws]) -> Draws:
    """Latency that some settings need for a quality minus what others need, mean over qualities.

    Qualities count from that of the fastest setting, of the side where it is lower, to the best
    that both sides reach. Where that is a single quality, so is the mean.

    Args:
        moved: latency and quality of some settings, [n_draws, n_settings] each.
        unmoved: the same of those they are compared with.

    Returns:
        In the unit of latency [n_draws]; NaN where a quality is.
    """
    unknown = np.isnan(moved[1]).any(axis=1) | np.isnan(unmoved[1]).any(axis=1)
    sides = [(latency, np.nan_to_num(quality)) for latency, quality in (moved, unmoved)]
    lowest = np.minimum(*(_of_the_fastest(*side) for side in sides))
    highest = np.minimum(*(quality.max(axis=1) for _, quality in sides))
    bounds = (lowest[:, None], highest[:, None])
    levels = np.sort(np.hstack([*bounds, *(np.clip(q, *bounds) for _, q in sides)]), axis=1)
    # Between two levels the same setting stays the fastest that is good enough.
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
    """Quality of the fastest setting, of the best one of equals [n_draws]."""
    fastest = latency == latency.min(axis=1, keepdims=True)
    return np.asarray(np.where(fastest, quality, -np.inf).max(axis=1))
