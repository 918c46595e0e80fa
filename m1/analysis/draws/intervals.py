"""From draws to a number with its interval. Measured coverage: docs/coverage.md."""

import numpy as np

from m1.analysis.draws.bootstrap import Draws
from m1.schemas.results import Estimate


def estimate(draws: Draws, confidence: float) -> Estimate:
    """The value of the sample, with the percentile interval of the resamples [1 + n_resamples].

    Resamples without the number (NaN) are left out.
    """
    low, high = _ends(draws, confidence)
    return Estimate(value=float(draws[0]), low=low, high=high)


def estimate_of_extreme(draws: Draws, confidence: float, lowest: float = -np.inf) -> Estimate:
    """Like `estimate`, for numbers that depend on the best of several, such as a hypervolume.

    Noise makes the best of several look better than it is. This happens in the sample, and again
    in its resamples. A percentile interval would contain this bias twice. The reverse percentile
    interval (Davison & Hinkley 1997, section 5.2) subtracts it instead.

    Args:
        draws: the number in the sample and in the resamples [1 + n_resamples].
        confidence: confidence of the interval.
        lowest: the smallest possible value of the number, such as 0 for an area. A reverse
            interval may reach below it and is then cut there. No true value is lost by this.
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
    """Like `estimate`; `None` if the number is missing in the sample or in too many resamples.

    An interval leaves out a share of the resamples. If more of them than that lack the number, an
    interval of the others would be too narrow.
    """
    return estimate(draws, confidence) if is_defined(draws, confidence) else None


def is_defined(draws: Draws, confidence: float) -> bool:
    """Whether the number exists in the sample and in enough resamples."""
    missing = np.isnan(draws)
    return not missing[0] and bool(missing[1:].mean() <= 1 - confidence)
