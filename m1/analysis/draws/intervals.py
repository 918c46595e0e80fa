"""From draws to a number with its interval. Measured coverage: docs/coverage.md."""

import numpy as np

from m1.analysis.draws.confidence import Confidence, Draws
from m1.schemas.results import Estimate


def estimate(draws: Draws, confidence: Confidence) -> Estimate:
    """The value of the sample, with the percentile interval of the resamples [n_draws].

    If several processes measured, the interval also holds what differs between them. Resamples
    without the number (NaN) are left out.
    """
    low, high = _ends(draws, confidence)
    return Estimate(value=float(draws[0]), low=low, high=high)


def estimate_of_extreme(draws: Draws, confidence: Confidence, lowest: float = -np.inf) -> Estimate:
    """Like `estimate`, for numbers that depend on the best of several, such as a hypervolume.

    Noise makes the best of several look better than it is. This happens in the sample, and again
    in its resamples. A percentile interval would contain this bias twice. The reverse percentile
    interval (Davison & Hinkley 1997, section 5.2) subtracts it instead.

    Args:
        draws: the number in the sample and in the resamples [n_draws].
        confidence: confidence of the interval.
        lowest: the smallest possible value of the number, such as 0 for an area. A reverse
            interval may reach below it and is then cut there. No true value is lost by this.
    """
    value = float(draws[0])
    low, high = _ends(draws, confidence)
    return Estimate(
        value=value, low=max(lowest, 2 * value - high), high=max(lowest, 2 * value - low)
    )


def _ends(draws: Draws, confidence: Confidence) -> tuple[float, float]:
    tail = (1 - confidence.share) / 2
    low, high = np.nanquantile(confidence.resampled(draws), [tail, 1 - tail])
    half = confidence.half_width(draws)
    if not half > 0:  # one process, or the number is missing without one of them
        return float(low), float(high)
    return min(float(low), float(draws[0]) - half), max(float(high), float(draws[0]) + half)


def estimate_if_defined(draws: Draws, confidence: Confidence) -> Estimate | None:
    """Like `estimate`; `None` if the number is missing in the sample or in too many resamples.

    An interval leaves out a share of the resamples. If more of them than that lack the number, an
    interval of the others would be too narrow.
    """
    return estimate(draws, confidence) if is_defined(draws, confidence) else None


def is_defined(draws: Draws, confidence: Confidence) -> bool:
    """Whether the number exists in the sample and in enough resamples."""
    missing = np.isnan(draws)
    share = float(confidence.resampled(missing).mean())
    return not missing[0] and share <= 1 - confidence.share
