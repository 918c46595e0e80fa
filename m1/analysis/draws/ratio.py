"""Ratios of draws that may not exist in every draw."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def ratio(of: Numbers, to: Numbers) -> Numbers:
    """Divide; NaN where the divisor is not above 0.

    Args:
        of: the dividend.
        to: the divisor; both are broadcast.
    """
    of, to = np.broadcast_arrays(of, to)
    found: Numbers = np.full(of.shape, np.nan)
    np.divide(of, to, out=found, where=to > 0)
    return found
