"""From draws to a number with its interval. Measured coverage: docs/coverage.md."""

import numpy as np

from m1.analysis.bootstrap import Draws
from m1.schemas.results import Estimate


def estimate(draws: Draws, confidence: float) -> Estimate:
    """The value on the sample with its percentile interval over the resamples [1 + n_resamples].

    Resamples in which the number does not exist (NaN) are left out.
    """
    low, high = _ends(draws, confidence)
    return Estimate(value=float(draws[0]), low=low, high=high)


def estimate_of_extreme(draws: Draws, confidence: float, lowest: float = -np.inf) -> Estimate:
    """Like `estimate`, for numbers made of the best of several, such as a hypervolume.

    Noise makes the best of several look better, on the sample and again on its resamples. The
    reverse percentile interval (Davison & Hinkley 1997, section 5.2) takes off once what the
    resamples have gained; the percentile interval would have it twice.

    Args:
        draws: the number on the sample and on the resamples [1 + n_resamples].
        confidence: of the interval.
        lowest: what the number cannot be below, such as 0 for an area. A percentile interval keeps
            to what draws can be, a reverse one may reach beyond it; to cut that off takes no true
            value out of the interval.
    """
    value = float(draws[0])
    low, high = _ends(draws, confidence)
    return Estimate(
        value=value, low=max(lowest, 2 * value - high), high=max(lowest, 2 * value - low)
    )


def _ends(draws: Draws, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws[1:], [tail, 1 - tail])
    return float(low), float(high)


def estimate_if_defined(draws: Draws, confidence: float) -> Estimate | None:
    """Like `estimate`; nothing where the number does not exist on the sample, or too seldom.

    An interval from the resamples that happen to have the number would be too narrow once more of
    them lack it than an interval may leave out.
    """
    return estimate(draws, confidence) if is_defined(draws, confidence) else None


def is_defined(draws: Draws, confidence: float) -> bool:
    """Whether the number exists on the sample and in enough resamples."""
    missing = np.isnan(draws)
    return not missing[0] and bool(missing[1:].mean() <= 1 - confidence)
