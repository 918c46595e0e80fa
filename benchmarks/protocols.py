"""The time of a sweep by our protocol and by the naive protocol, from counts and costs.

The naive protocol is the usual way: each setting is a run of its own. The run loads the model,
warms up, measures each request several times at batch size 1, and scores the same requests in one
more pass at batch size 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratios import Array
from m1.params import KnobParams, PerWorkload, ProfileParams, QualityParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import decode_passes

Drawn = NDArray[np.intp] | slice

NAIVE_REPEATS = 3
NAIVE_WARM_UP = 3
"""Warm-up requests of each workload in a naive run."""
STAGES_WITH_A_MODEL = 2
"""Processes of our protocol that load the model: the stages profile and answers."""
WARM_UP_WINDOWS = 2
"""Warm-up windows of our protocol, if the first two agree."""


@dataclass(frozen=True)
class Counts:
    """How many requests of one workload each protocol runs."""

    n_settings: int
    """Settings of the grid."""
    swept: int
    """Our protocol: timed at each setting."""
    at_reference: int
    """Our protocol: timed in addition at the reference setting, for E1, the check of the marks and
    repeats."""
    scored: int
    """Our protocol: answered in batches at each setting."""
    encoded: int
    """Our protocol: encoded for batches, once for each number of visual tokens."""
    naive: int
    """Naive protocol: run one by one at each setting."""
    naive_as_few: int
    """The same, if the naive protocol times no more requests than ours."""


def counts(
    workload: Workload, knobs: KnobParams, profile: ProfileParams, quality: QualityParams
) -> Counts:
    """The counts that the parameters ask for.

    The naive protocol times all requests that it scores. Unlike ours, it has no smaller sample for
    latency. It also has no E1, no check of the marks and no repeats in every trial.
    """

    def of(numbers: PerWorkload) -> int:
        return numbers.of(workload)

    def naive(n_timed: int) -> int:
        return NAIVE_WARM_UP + n_timed * NAIVE_REPEATS * n_passes + of(quality.n_requests)

    n_passes = len(decode_passes(profile.decode_mode))
    repeated = of(profile.anchor_requests) * profile.n_trials
    n_scored = of(quality.n_requests)
    return Counts(
        n_settings=len(knobs.grid()),
        swept=of(profile.e2_requests) * n_passes,
        at_reference=of(profile.e1_requests) * n_passes
        + 2 * of(profile.observer_requests)
        + repeated,
        scored=n_scored,
        encoded=n_scored * len(knobs.vision_tokens),
        naive=naive(n_scored),
        naive_as_few=naive(of(profile.e2_requests)),
    )


@dataclass(frozen=True)
class CellCosts:
    """Seconds that one request of a workload takes, with everything that belongs to it."""

    ours: Array
    """Alone: encode, measure and write to the journal [n_requests, n_settings]."""
    naive: Array
    """Alone: encode and generate [n_requests, n_settings]."""
    batched: Array
    """In a batch: time of the batch divided by its requests [n_settings]."""
    encoding: float
    """For a batch: encode one request."""


@dataclass(frozen=True)
class Costs:
    """Seconds of all parts of a sweep."""

    cells: Mapping[Workload, CellCosts]
    """One request of each workload."""
    start: float
    """From the start of a process until its model is loaded."""
    facts: float
    """What our protocol checks and counts once: grid, device, work of each cell."""


@dataclass(frozen=True)
class Sweep:
    """Seconds that a sweep takes."""

    counts: Mapping[Workload, Counts]
    costs: Costs
    profile: ProfileParams

    def ours(self, drawn: Drawn = slice(None), *, whole: bool = True) -> float:
        """Our two stages, computed from the costs of some of the measured requests.

        Args:
            drawn: the indices of these requests.
            whole: true for everything, false without the parts that the naive protocol lacks.
        """
        seconds = STAGES_WITH_A_MODEL * self.costs.start + self._warm_up(drawn)
        seconds += self.costs.facts if whole else 0.0
        for workload, cells in self.costs.cells.items():
            n = self.counts[workload]
            mean = cells.ours[drawn].mean(axis=0)
            seconds += n.swept * mean.sum() + (n.at_reference * mean[0] if whole else 0.0)
            seconds += n.scored * cells.batched.sum() + n.encoded * cells.encoding
        return float(seconds)

    def naive(self, drawn: Drawn = slice(None), *, as_few: bool = False) -> float:
        """One run for each setting, computed from the costs of some of the measured requests.

        Args:
            drawn: the indices of these requests.
            as_few: true if the naive protocol times no more requests than ours.
        """
        seconds = self.counts[WORKLOADS[0]].n_settings * self.costs.start
        for workload, cells in self.costs.cells.items():
            n = self.counts[workload]
            seconds += (n.naive_as_few if as_few else n.naive) * cells.naive[drawn].mean(
                axis=0
            ).sum()
        return float(seconds)

    def _warm_up(self, drawn: Drawn) -> float:
        """Windows of whole passes, with one request in each cell per pass."""
        one_pass = sum(c.ours[drawn].mean(axis=0).sum() for c in self.costs.cells.values())
        n_cells = sum(n.n_settings for n in self.counts.values())
        window = self.profile.warmup_s / one_pass, self.profile.warmup_window / n_cells
        return float(WARM_UP_WINDOWS * math.ceil(max(window)) * one_pass)
