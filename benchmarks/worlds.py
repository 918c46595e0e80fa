"""Made-up worlds whose true numbers are known, and runs in them, quick enough for thousands.

Requests differ (captions in length, skewed), questions about one image are alike, each cell of each
trial has its own slow spells (skewed), and each measurement has noise (skewed). Whether an answer
is right hangs on its image, its request and chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.analysis.cells import DECODE, STAGE_COLUMNS, ScoredCells, TimedCells
from m1.schemas.profile import STAGES, Stage
from m1.schemas.requests import Workload
from m1.schemas.settings import KNOBS, Knob, Setting

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Rng = np.random.Generator
Values = tuple[int | None, ...]
PerStage = Mapping[Stage, float]
PerKnob = Mapping[Knob, float]

# Milliseconds at the reference setting; decode is for each token after the first.
COST_MS: PerStage = {"vision": 12.0, "projector": 1.0, "prefill": 20.0, "decode": 3.0}
# Exponents of each knob's share in the time of the stages.
POWERS: Mapping[Knob, PerStage] = {
    "vision_tokens": {"vision": 0.0, "projector": 0.5, "prefill": 0.6, "decode": 0.05},
    "top_k": {"vision": 0.0, "projector": 0.0, "prefill": 0.4, "decode": 0.3},
    "active_blocks": {"vision": 0.0, "projector": 0.0, "prefill": 0.9, "decode": 0.9},
}
# The same in the probability that an answer, or a word of it, is right.
QUALITY_POWERS: Mapping[Workload, PerKnob] = {
    "qa": {"vision_tokens": 0.15, "top_k": 0.12, "active_blocks": 0.5},
    "captioning": {"vision_tokens": 0.07, "top_k": 0.06, "active_blocks": 0.4},
}
N_STEPS = 20
"""Decode steps of a question in quick runs, but for the spread of lengths."""
N_POPULATION = 1_000_000
"""Requests from which true medians and percentiles are taken."""


@dataclass(frozen=True)
class Mechanism:
    """How latency and quality come about."""

    vision_tokens: Values = (144, 36, 16)
    top_k: Values = (4, 2, 1)
    active_blocks: Values = (8, 6, 4)
    cost_ms: Mapping[Workload, PerStage] = field(
        default_factory=lambda: {"qa": COST_MS, "captioning": COST_MS}
    )
    powers: Mapping[Knob, PerStage] = field(default_factory=lambda: POWERS)
    right_at_reference: float = 0.9
    """Probability that an answer, or a word of it, is right at the reference setting."""
    quality_powers: Mapping[Workload, PerKnob] = field(default_factory=lambda: QUALITY_POWERS)
    image_spread: float = 0.05
    """Standard deviation of the logarithm of all times between images, the same in every cell."""
    length_spread: float = 0.0
    """Standard deviation of the logarithm of decode time between requests."""
    spell: float = 0.0
    """Scale of slow spells: the logarithm of their factor is this times a gamma variable of 0.5."""
    noise: float = 0.0
    """Scale of a measurement's noise: likewise, times a gamma variable of 1."""

    @cached_property
    def grid(self) -> tuple[Setting, ...]:
        """Every setting, the reference first."""
        values = product(self.vision_tokens, self.top_k, self.active_blocks)
        return tuple(Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in values)

    def shares(self, setting: Setting) -> list[float]:
        """Value of each knob as a fraction of its reference."""
        pairs = ((getattr(setting, knob), getattr(self.grid[0], knob)) for knob in KNOBS)
        return [1.0 if largest is None else value / largest for value, largest in pairs]

    def step_ms(self, workload: Workload, settings: Sequence[Setting]) -> Array:
        """Times without any spread [n_stages, n_settings]; decode is that of one step."""
        cost = np.array([self.cost_ms[workload][stage] for stage in STAGES])
        powers = np.array([[self.powers[knob][stage] for knob in KNOBS] for stage in STAGES])
        shares = np.array([self.shares(setting) for setting in settings])
        return np.asarray(cost[:, None] * np.prod(shares ** powers[:, None], axis=2))

    def right(self, workload: Workload, setting: Setting) -> float:
        """Probability that an answer, or a word of it, is right."""
        powers = [self.quality_powers[workload][knob] for knob in KNOBS]
        return float(self.right_at_reference * np.prod(np.power(self.shares(setting), powers)))

    def times(
        self,
        workload: Workload,
        settings: Sequence[Setting],
        tempers: Array,
        trials: Places,
        rng: Rng,
    ) -> Array:
        """Draw the times of requests [n_stages, n_requests, n_settings]; decode is one step.

        Args:
            workload: whose costs.
            settings: each request is measured at all of them.
            tempers: how slow each request's image is, in standard deviations [n_requests].
            trials: the trial of each request [n_requests].
            rng: where spells and noise come from.
        """
        slow = np.exp(self.image_spread * tempers)[:, None]
        n_trials = trials.max(initial=-1) + 1
        spells = np.exp(self.spell * rng.gamma(0.5, size=(n_trials, len(settings))))[trials]
        noise = np.exp(self.noise * rng.gamma(1.0, size=(len(trials), len(settings))))
        return np.asarray(self.step_ms(workload, settings)[:, None] * (slow * spells * noise))


@dataclass(frozen=True)
class CoverageWorld(Mechanism):
    """Questions as arrays, in trials of a few requests."""

    vision_tokens: Values = (144, 36)
    top_k: Values = (4, 2)
    n_trials: int = 50
    per_trial: int = 2
    """E2's requests in each trial; of every other trial, all about one image."""
    e1_per_trial: int = 6
    """E1's requests in each trial, two to an image."""
    n_only_scored: int = 100
    """Requests that are scored and not timed, two to an image."""
    image_spread: float = 0.1
    length_spread: float = 0.35
    spell: float = 0.1
    noise: float = 0.03

    @cached_property
    def quality(self) -> Array:
        """True mean quality [n_settings]."""
        return np.array([self.right("qa", setting) for setting in self.grid])

    @cached_property
    def mean_stage_ms(self) -> Array:
        """True mean of every stage [n_stages, n_settings], from the formulas of the spreads."""
        common = np.exp(self.image_spread**2 / 2) * (1 - self.spell) ** -0.5 / (1 - self.noise)
        means = common * self.step_ms("qa", self.grid)
        means[DECODE] *= N_STEPS * np.exp(self.length_spread**2 / 2)
        return np.asarray(means)

    def draw(self, rng: Rng, images: Places, trials: Places, n: int) -> Array:
        """Draw the times of requests at the first n settings [n_stages, n_requests, n]."""
        tempers = rng.normal(size=images.max() + 1)[images]
        times = self.times("qa", self.grid[:n], tempers, trials, rng)
        lengths = np.exp(self.length_spread * rng.normal(size=len(images)))
        times[DECODE] *= N_STEPS * lengths[:, None]
        return times

    def population_ms(self, n: int) -> Array:
        """Latencies of many requests, each of an image and a trial of its own [n_requests, n]."""
        alone = np.arange(N_POPULATION // n)
        return np.asarray(self.draw(np.random.default_rng(0), alone, alone, n).sum(axis=0))

    def simulate_e1(self, rng: Rng) -> pd.DataFrame:
        """Rows of E1: stages, total, image and trial of each request."""
        images, trials = self._dealt(self.e1_per_trial, pairs_in=1)
        times = self.draw(rng, images, trials, 1)[:, :, 0]
        rows = pd.DataFrame(times.T, columns=STAGE_COLUMNS)
        return rows.assign(
            total_ms=times.sum(axis=0), image_id=_names(images), trial=trials, workload="qa"
        )

    def simulate_e2(self, rng: Rng) -> tuple[pd.DataFrame, TimedCells, ScoredCells]:
        """Images and trials of E2's timed requests, their times, and all scored answers."""
        images, trials = self._dealt(self.per_trial, pairs_in=2)
        times = self.draw(rng, images, trials, len(self.grid))
        rows = pd.DataFrame({"image_id": _names(images), "trial": trials})
        timed = TimedCells(
            "qa",
            self.grid,
            tuple(_names(images)),
            times.sum(axis=0),
            times,
            np.ones_like(times[0]),
        )
        others = images.max() + 1 + np.arange(self.n_only_scored) // 2
        return rows, timed, self._answers(rng, np.concatenate([images, others]))

    def _dealt(self, n: int, pairs_in: int) -> tuple[Places, Places]:
        """Image and trial of every request: in one of `pairs_in` trials, two to an image."""
        trials = np.repeat(np.arange(self.n_trials), n)
        place = np.tile(np.arange(n), self.n_trials)
        shared = np.where(trials % pairs_in == 0, place // 2, place)
        return trials * n + shared, trials

    def _answers(self, rng: Rng, images: Places) -> ScoredCells:
        shape = len(images), len(self.grid)
        of_image = rng.uniform(size=(images.max() + 1, 1))[images]
        of_request = rng.uniform(size=(len(images), 1))
        hangs_on = rng.choice(3, size=shape, p=(0.3, 0.3, 0.4))
        luck = np.choose(hangs_on, [of_image, of_request, rng.uniform(size=shape)])
        right = (luck < self.quality).astype(np.float64)
        return ScoredCells(tuple(_names(images)), right, np.zeros(shape))


def _names(images: Places) -> list[str]:
    return [f"{image:05}" for image in images]
