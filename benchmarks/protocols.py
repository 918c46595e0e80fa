"""The duration of a sweep by our protocol and by the naive one, from counts and costs.

The naive protocol is the one in common use: each setting is a run of its own, which loads the
model, warms up, measures each request several times at batch size 1, and scores the same requests
in a further pass at batch size 1.
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
"""Requests of each workload before a naive run measures."""
STAGES_WITH_A_MODEL = 2
"""Of ours: profile and answers, each a process that loads the model."""
WARM_UP_WINDOWS = 2
"""Of ours, where the first two agree."""


@dataclass(frozen=True)
class Counts:
    """How many requests of a workload each protocol runs."""

    n_settings: int
    """Settings of the grid."""
    swept: int
    """Of ours, timed at each setting."""
    at_reference: int
    """Of ours, timed at the reference setting beside: E1, marks against none, repeats."""
    scored: int
    """Of ours, answered in batches at each setting."""
    encoded: int
    """Of ours, encoded for batches: once for each number of visual tokens."""
    naive: int
    """Of the naive protocol, run one by one at each setting."""
    naive_as_few: int
    """The same, if it times no more requests than ours does."""


def counts(
    workload: Workload, knobs: KnobParams, profile: ProfileParams, quality: QualityParams
) -> Counts:
    """The counts that parameters ask for.

    The naive protocol times all requests that it scores: a sample of its own for latency, shared
    by all settings, is what it lacks. It has no E1, no check of marks and no repeats in time.
    """

    def of(numbers: PerWorkload) -> int:
        return numbers.of(workload)

    def naive(n_timed: int) -> int:
        return NAIVE_WARM_UP + n_timed * NAIVE_REPEATS * n_passes + of(quality.n_requests)

    n_passes = len(decode_passes(profile.decode_mode))
    repeated = of(profile.repeat_requests) * profile.n_trials
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
    """Seconds that requests of a workload take, with all that belongs to them."""

    ours: Array
    """One by one, encoded, measured and noted in the journal [n_requests, n_settings]."""
    naive: Array
    """One by one, encoded and generated [n_requests, n_settings]."""
    batched: Array
    """In a batch, each request's share [n_settings]."""
    encoding: float
    """Encoding of one request for a batch."""


@dataclass(frozen=True)
class Costs:
    """Seconds of everything."""

    cells: Mapping[Workload, CellCosts]
    """Requests."""
    start: float
    """From the start of a process until its model is loaded."""
    facts: float
    """What ours checks and counts once: grid, device, work of each cell."""


@dataclass(frozen=True)
class Sweep:
    """Seconds that sweeps take."""

    counts: Mapping[Workload, Counts]
    costs: Costs
    profile: ProfileParams

    def ours(self, drawn: Drawn = slice(None), *, whole: bool = True) -> float:
        """Our two stages, by the costs of some of the measured requests.

        Args:
            drawn: which.
            whole: with all that the naive protocol lacks, or the grid alone.
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
        """A run for each setting, by the costs of some of the measured requests.

        Args:
            drawn: which.
            as_few: if it timed no more requests than ours does.
        """
        seconds = self.counts[WORKLOADS[0]].n_settings * self.costs.start
        for workload, cells in self.costs.cells.items():
            n = self.counts[workload]
            seconds += (n.naive_as_few if as_few else n.naive) * cells.naive[drawn].mean(
                axis=0
            ).sum()
        return float(seconds)

    def _warm_up(self, drawn: Drawn) -> float:
        """Windows of whole passes, a request in each cell."""
        one_pass = sum(c.ours[drawn].mean(axis=0).sum() for c in self.costs.cells.values())
        n_cells = sum(n.n_settings for n in self.counts.values())
        window = self.profile.warmup_s / one_pass, self.profile.warmup_window / n_cells
        return float(WARM_UP_WINDOWS * math.ceil(max(window)) * one_pass)
