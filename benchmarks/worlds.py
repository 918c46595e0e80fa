"""Made-up runs whose true numbers are known, as arrays: quick enough for thousands of runs.

Requests differ (captions in length, skewed), questions about one image are alike, each cell of each
trial has its own slow spells (skewed), and each measurement has noise (skewed). Whether an answer
is right hangs on its image, its request and chance.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.analysis.cells import STAGE_COLUMNS, ScoredCells, TimedCells
from m1.schemas.settings import KNOBS, Knob, Setting

Array = NDArray[np.float64]
Rng = np.random.Generator

# Milliseconds of vision, projector, prefill and decode at the reference setting.
STAGE_MS = np.array([12.0, 1.0, 20.0, 60.0])
# Exponents of each knob's share in the time of the stages.
POWERS = {
    "vision_tokens": np.array([0.0, 0.5, 0.6, 0.05]),
    "top_k": np.array([0.0, 0.0, 0.4, 0.3]),
    "active_blocks": np.array([0.0, 0.0, 0.9, 0.9]),
}
N_POPULATION = 1_000_000
"""Requests from which true medians and percentiles are taken."""


@dataclass(frozen=True)
class CoverageWorld:
    """How latency and quality come about."""

    n_trials: int = 50
    per_trial: int = 2
    """E2's requests in each trial; of every other trial, all about one image."""
    e1_per_trial: int = 6
    """E1's requests in each trial, two to an image."""
    n_only_scored: int = 100
    """Requests that are scored and not timed, two to an image."""
    length_spread: float = 0.35
    """Standard deviation of the logarithm of decode time between requests."""
    image_spread: float = 0.1
    """Standard deviation of the logarithm of all times between images."""
    spell: float = 0.1
    """Scale of slow spells: the logarithm of their factor is this times a gamma variable of 0.5."""
    noise: float = 0.03
    """Scale of a measurement's noise: likewise, times a gamma variable of 1."""
    right: float = 0.9
    """Probability of a right answer at the reference setting."""
    quality_powers: tuple[float, float, float] = (0.15, 0.12, 0.5)
    """Exponents of the knobs' shares in the probability of a right answer."""

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The grid, the reference first."""
        values = product((144, 36), (4, 2), (8, 6, 4))
        return tuple(Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in values)

    def shares(self, knob: Knob) -> Array:
        """Values of a knob over its reference [n_settings]."""
        values = np.array([getattr(setting, knob) for setting in self.settings], dtype=np.float64)
        return np.asarray(values / values[0])

    @cached_property
    def stage_ms(self) -> Array:
        """Times without any spread [n_stages, n_settings]."""
        factors = [self.shares(knob)[None, :] ** POWERS[knob][:, None] for knob in KNOBS]
        return np.asarray(STAGE_MS[:, None] * np.prod(factors, axis=0))

    @cached_property
    def quality(self) -> Array:
        """True mean quality [n_settings]."""
        powers = zip(KNOBS, self.quality_powers, strict=True)
        return np.asarray(self.right * np.prod([self.shares(k) ** p for k, p in powers], axis=0))

    @cached_property
    def mean_stage_ms(self) -> Array:
        """True mean of every stage [n_stages, n_settings], from the formulas of the spreads."""
        common = np.exp(self.image_spread**2 / 2) * (1 - self.spell) ** -0.5 / (1 - self.noise)
        lengths = np.array([1.0, 1.0, 1.0, np.exp(self.length_spread**2 / 2)])
        return np.asarray(common * lengths[:, None] * self.stage_ms)

    def times(self, rng: Rng, images: NDArray[np.intp], trials: NDArray[np.intp], n: int) -> Array:
        """Draw the times of requests at the first n settings [n_stages, n_requests, n]."""
        slow = np.exp(self.image_spread * rng.normal(size=images.max() + 1))[images]
        spells = np.exp(self.spell * rng.gamma(0.5, size=(trials.max() + 1, n)))[trials]
        noise = np.exp(self.noise * rng.gamma(1.0, size=(len(images), n)))
        times = self.stage_ms[:, None, :n] * (slow[:, None] * spells * noise)
        times[-1] *= np.exp(self.length_spread * rng.normal(size=len(images)))[:, None]
        return np.asarray(times)

    def population_ms(self, n: int) -> Array:
        """Latencies of many requests, each of an image and a trial of its own [n_requests, n]."""
        alone = np.arange(N_POPULATION // n)
        return np.asarray(self.times(np.random.default_rng(0), alone, alone, n).sum(axis=0))

    def simulate_e1(self, rng: Rng) -> pd.DataFrame:
        """Rows of E1: stages, total, image and trial of each request."""
        images, trials = self._dealt(self.e1_per_trial, pairs_in=1)
        times = self.times(rng, images, trials, 1)[:, :, 0]
        rows = pd.DataFrame(times.T, columns=STAGE_COLUMNS)
        return rows.assign(
            total_ms=times.sum(axis=0), image_id=_names(images), trial=trials, workload="qa"
        )

    def simulate_e2(self, rng: Rng) -> tuple[pd.DataFrame, TimedCells, ScoredCells]:
        """Images and trials of E2's timed requests, their times, and all scored answers."""
        images, trials = self._dealt(self.per_trial, pairs_in=2)
        times = self.times(rng, images, trials, len(self.settings))
        rows = pd.DataFrame({"image_id": _names(images), "trial": trials})
        timed = TimedCells(
            "qa",
            self.settings,
            tuple(_names(images)),
            times.sum(axis=0),
            times,
            np.ones_like(times[0]),
        )
        others = images.max() + 1 + np.arange(self.n_only_scored) // 2
        return rows, timed, self._answers(rng, np.concatenate([images, others]))

    def _dealt(self, n: int, pairs_in: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Image and trial of every request: in one of `pairs_in` trials, two to an image."""
        trials = np.repeat(np.arange(self.n_trials), n)
        place = np.tile(np.arange(n), self.n_trials)
        shared = np.where(trials % pairs_in == 0, place // 2, place)
        return trials * n + shared, trials

    def _answers(self, rng: Rng, images: NDArray[np.intp]) -> ScoredCells:
        shape = len(images), len(self.settings)
        of_image = rng.uniform(size=(images.max() + 1, 1))[images]
        of_request = rng.uniform(size=(len(images), 1))
        hangs_on = rng.choice(3, size=shape, p=(0.3, 0.3, 0.4))
        luck = np.choose(hangs_on, [of_image, of_request, rng.uniform(size=shape)])
        right = (luck < self.quality).astype(np.float64)
        return ScoredCells(tuple(_names(images)), right, np.zeros(shape))


def _names(images: NDArray[np.intp]) -> list[str]:
    return [f"{image:05}" for image in images]
