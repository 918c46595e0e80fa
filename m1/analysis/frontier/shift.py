"""How far one frontier lies from another, in latency.

This is the mean distance at equal quality, as for rate-distortion curves in video coding
(Bjontegaard 2001, "Calculation of average PSNR differences between RD-curves"). Here the frontiers
are stepped, and the distance is in latency itself, not in its logarithm.
"""

import numpy as np

from m1.analysis.draws.bootstrap import Draws


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
