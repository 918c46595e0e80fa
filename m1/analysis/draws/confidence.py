"""How sure intervals are, and how many processes they rest on."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]
"""Row 0 is for the measured sample, then there is a row for each resample. If several processes
measured, the last rows are for the sample without each of them. In short: [n_draws, ...]."""
Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True)
class Confidence:
    """How sure intervals are."""

    share: float
    """Share of intervals that contain the true value."""
    n_processes: int = 1
    """Number of processes that measured. With one, intervals do not hold what differs between
    processes."""

    def resampled(self, draws: NDArray[Kind]) -> NDArray[Kind]:
        """The rows of the resamples."""
        return draws[1:] if self.n_processes == 1 else draws[1 : -self.n_processes]

    def half_width(self, draws: Draws) -> float:
        """Half the width of the interval that follows from the differences between processes.

        The standard error is that of the jackknife that leaves out a process at a time (Efron &
        Tibshirani 1993, chapter 11). The interval follows Student's t with one degree of freedom
        less than there are processes (Kalibera & Jones 2013, "Rigorous benchmarking in reasonable
        time"). A bootstrap of few processes would be too sure.

        Returns:
            0 for one process; NaN if the number is missing without one of the processes.
        """
        n = self.n_processes
        if n == 1:
            return 0.0
        # It takes a quarter of a second, and only runs of several processes need it.
        from scipy.special import stdtrit

        without = draws[-n:]
        error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
        return float(stdtrit(n - 1, (1 + self.share) / 2) * error)
