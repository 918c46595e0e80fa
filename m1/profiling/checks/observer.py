"""Check that marks do not change latency, by pairs of measurements with and without marks."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from m1.params import ValidityParams
from m1.profiling.checks.check import at_least, at_most, not_measured
from m1.schemas.profile import Check, MeasuredRequest
from m1.schemas.requests import WORKLOADS, Workload

N_RESAMPLES = 1000
TAILS = (0.025, 0.975)

Changes = list[npt.NDArray[np.float64]]
"""Relative changes of the pairs of each image."""


@dataclass(frozen=True)
class MarksEffect:
    """Median relative change of latency by the marks, with its 95 % interval."""

    workload: Workload
    change: float
    low: float
    high: float
    n_pairs: int
    n_images: int

    @property
    def shown(self) -> float:
        """The smallest size of the effect in the interval: 0 if the interval contains 0."""
        return max(0.0, self.low, -self.high)

    @property
    def half_width(self) -> float:
        """Half the width of the interval: how far the estimate may be wrong."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        """The estimate in a few words."""
        interval = f"{self.low:.2%} to {self.high:.2%}"
        return f"{self.workload} {self.change:.2%} ({interval}, {self.n_pairs} pairs)"


def check_observer(rows: Sequence[MeasuredRequest], limits: ValidityParams) -> tuple[Check, ...]:
    """Check that marks do not change latency, with enough pairs to see a change.

    The smallest effect in the interval must be within the limit, so noise alone makes no run
    invalid. A run with few or noisy pairs would pass as well. So the width of the interval and the
    number of images are checked, too. An effect is found if it exceeds the limit by the width of
    the interval.
    """
    effects = [effect for w in WORKLOADS if (effect := observer_effect(rows, w))]
    least = at_least(
        "observer_images",
        min((effect.n_images for effect in effects), default=0)
        if len(effects) == len(WORKLOADS)
        else 0,
        limits.min_observer,
        "images of a workload with and without marks",
    )
    if not effects:
        reason = "observer effect not measured: no request ran with and without marks"
        limit = limits.observer_effect
        return not_measured("observer_effect", limit, reason, passed=False), least
    shown = "; ".join(map(str, effects))
    return (
        at_most("observer_effect", max(effect.shown for effect in effects), limits.observer_effect,
                f"change of latency by the marks, as far as its interval shows it ({shown})"),
        at_most("observer_resolution", max(effect.half_width for effect in effects),
                limits.observer_resolution,
                "half the interval of the change of latency by the marks"),
        least,
    )  # fmt: skip


def observer_effect(rows: Sequence[MeasuredRequest], workload: Workload) -> MarksEffect | None:
    """The effect on one workload, by a bootstrap over the images of its pairs."""
    changes = _pair_changes(rows, workload)
    if not changes:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(changes), size=(N_RESAMPLES, len(changes)))
    medians = [float(np.median(np.concatenate([changes[i] for i in places]))) for places in drawn]
    low, high = np.quantile(medians, TAILS)
    every = np.concatenate(changes)
    return MarksEffect(
        workload, float(np.median(every)), float(low), float(high), len(every), len(changes)
    )


def _pair_changes(rows: Sequence[MeasuredRequest], workload: Workload) -> Changes:
    """The relative change of latency by the marks in each pair, by image."""
    times: dict[tuple[str, str], dict[bool, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.experiment == "observer" and row.workload == workload:
            times[row.image_id, row.request_id][row.marked].append(row.total_ms)
    images: dict[str, list[float]] = defaultdict(list)
    for (image, _), both in times.items():
        if len(both) == 2:
            images[image].append(median(both[True]) / median(both[False]) - 1)
    return [np.array(changes) for changes in images.values()]
