"""Made-up worlds whose true values are known. Runs in them are quick, so thousands are possible.

Requests differ in their times (captions also in length). Questions about one image are alike. Each
cell of each trial has its own slow spell, and each measurement has noise. The distributions of
lengths, spells and noise are skewed. Whether an answer is right depends on its image, its request
and chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.analysis.cells import DECODE, STAGE_COLUMNS, ScoredCells, TimedCells
from m1.machine_course import Course, course_of
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
# A stage's time grows with a knob's value (as a fraction of its reference) to this power.
POWERS: Mapping[Knob, PerStage] = {
    "vision_tokens": {"vision": 0.0, "projector": 0.5, "prefill": 0.6, "decode": 0.05},
    "top_k": {"vision": 0.0, "projector": 0.0, "prefill": 0.4, "decode": 0.3},
    "active_blocks": {"vision": 0.0, "projector": 0.0, "prefill": 0.9, "decode": 0.9},
}
# The same powers for the probability that an answer, or a word of it, is right.
QUALITY_POWERS: Mapping[Workload, PerKnob] = {
    "qa": {"vision_tokens": 0.15, "top_k": 0.12, "active_blocks": 0.5},
    "captioning": {"vision_tokens": 0.07, "top_k": 0.06, "active_blocks": 0.4},
}
N_STEPS = 20
"""Decode steps of a question in `CoverageWorld`, before lengths are spread."""
N_POPULATION = 1_000_000
"""Latencies, over all settings, from which true medians and percentiles are computed."""


@dataclass(frozen=True)
class Mechanism:
    """How settings, images and chance decide latency and quality."""

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
    """Scale of slow spells. The logarithm of a spell's factor is this scale times a gamma variable
    of shape 0.5."""
    noise: float = 0.0
    """Scale of a measurement's noise. It works alike, with a gamma variable of shape 1."""

    @cached_property
    def grid(self) -> tuple[Setting, ...]:
        """Every setting, the reference first."""
        values = product(self.vision_tokens, self.top_k, self.active_blocks)
        return tuple(Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in values)

    def shares(self, setting: Setting) -> list[float]:
        """Value of each knob as a fraction of its reference value."""
        pairs = ((getattr(setting, knob), getattr(self.grid[0], knob)) for knob in KNOBS)
        return [1.0 if None in (value, largest) else value / largest for value, largest in pairs]

    def step_ms(self, workload: Workload, settings: Sequence[Setting]) -> Array:
        """Times without any spread [n_stages, n_settings]. Decode is the time of one step."""
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
            workload: the workload whose costs are used.
            settings: each request is measured at all of these settings.
            tempers: how slow each request's image is, in standard deviations [n_requests].
            trials: the trial of each request [n_requests].
            rng: source of spells and noise.
        """
        slow = np.exp(self.image_spread * tempers)[:, None]
        n_trials = trials.max(initial=-1) + 1
        spells = np.exp(self.spell * rng.gamma(0.5, size=(n_trials, len(settings))))[trials]
        noise = np.exp(self.noise * rng.gamma(1.0, size=(len(trials), len(settings))))
        return np.asarray(self.step_ms(workload, settings)[:, None] * (slow * spells * noise))


@dataclass(frozen=True)
class CoverageWorld(Mechanism):
    """A world of questions, in trials of a few requests."""

    vision_tokens: Values = (144, 36)
    top_k: Values = (4, 2)
    n_trials: int = 50
    per_trial: int = 2
    """E2's requests in each trial. In every second trial, two requests share an image."""
    e1_per_trial: int = 6
    """E1's requests in each trial. Two requests share an image."""
    n_only_scored: int = 100
    """Requests that are scored but not timed. Two requests share an image."""
    image_spread: float = 0.1
    length_spread: float = 0.35
    spell: float = 0.1
    noise: float = 0.03
    n_processes: int = 1
    """Processes that measure the trials, one after the other."""
    process_spread: float = 0.0
    """Standard deviation of the logarithm of a cell's times between processes."""
    drift: float = 0.0
    """How much slower decode is at the end of a run than at its beginning, as a share of its mean;
    the time to first token drifts half as much."""
    anchors_per_trial: int = 12

    def speed(self, trials: Places) -> Array:
        """How slow each stage is in each trial [n_stages, n_requests]; 1 in the mean of a run."""
        late = (trials % self.n_trials) / (self.n_trials - 1) - 0.5
        shares = np.array([1.0 if stage == "decode" else 0.5 for stage in STAGES])
        return np.asarray(1 + self.drift * shares[:, None] * late)

    def process_of(self, trials: Places) -> Places:
        """The process that measures each trial."""
        return trials * self.n_processes // self.n_trials

    @cached_property
    def quality(self) -> Array:
        """True mean quality [n_settings]."""
        return np.array([self.right("qa", setting) for setting in self.grid])

    @cached_property
    def mean_stage_ms(self) -> Array:
        """True mean time of every stage [n_stages, n_settings], from formulas for the spreads."""
        spreads = np.exp((self.image_spread**2 + self.process_spread**2) / 2)
        common = spreads * (1 - self.spell) ** -0.5 / (1 - self.noise)
        means = common * self.step_ms("qa", self.grid)
        means[DECODE] *= N_STEPS * np.exp(self.length_spread**2 / 2)
        return np.asarray(means)

    def draw(self, rng: Rng, images: Places, trials: Places, n: int) -> Array:
        """Draw the times of requests at the first n settings [n_stages, n_requests, n]."""
        tempers = rng.normal(size=images.max() + 1)[images]
        times = self.times("qa", self.grid[:n], tempers, trials, rng)
        processes = self.process_of(trials)
        effects = self.process_spread * rng.normal(size=(processes.max() + 1, n))
        times *= np.exp(effects)[processes]
        times *= self.speed(trials)[:, :, None]
        lengths = np.exp(self.length_spread * rng.normal(size=len(images)))
        times[DECODE] *= N_STEPS * lengths[:, None]
        return times

    def population_ms(self, n: int) -> Array:
        """Latencies of many requests [n_requests, n]. Each has an image and a trial of its own."""
        alone = np.arange(N_POPULATION // n)
        world = replace(self, n_processes=self.n_trials)
        return np.asarray(world.draw(np.random.default_rng(0), alone, alone, n).sum(axis=0))

    def simulate_course(self, rng: Rng) -> Course:
        """Find the machine's course from made-up anchors, each a cell of its own in each trial."""
        trials = np.repeat(np.arange(self.n_trials), self.anchors_per_trial)
        alone = np.arange(len(trials))
        times = self.times("qa", self.grid[:1], np.zeros(len(trials)), alone, rng)[:, :, 0]
        times *= self.speed(trials)
        rows = pd.DataFrame(times.T, columns=STAGE_COLUMNS).assign(
            total_ms=times.sum(axis=0),
            request_id=alone % self.anchors_per_trial,
            trial=trials,
            experiment="anchor",
            workload="qa",
            marked=True,
            n_output_tokens=2,
        )
        return course_of(rows)

    def simulate_e1(self, rng: Rng) -> pd.DataFrame:
        """Make up rows of E1: stages, total, image and trial of each request."""
        images, trials = self._dealt(self.e1_per_trial, pairs_in=1)
        times = self.draw(rng, images, trials, 1)[:, :, 0]
        rows = pd.DataFrame(times.T, columns=STAGE_COLUMNS)
        return rows.assign(
            total_ms=times.sum(axis=0),
            image_id=_names(images),
            trial=trials,
            process=self.process_of(trials),
            workload="qa",
            marked=True,
        )

    def simulate_e2(self, rng: Rng) -> tuple[pd.DataFrame, TimedCells, ScoredCells]:
        """Make up E2: images and trials of its timed requests, their times, all scored answers."""
        images, trials = self._dealt(self.per_trial, pairs_in=2)
        times = self.draw(rng, images, trials, len(self.grid))
        rows = pd.DataFrame(
            {"image_id": _names(images), "trial": trials, "process": self.process_of(trials)}
        )
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
        """Image and trial of every request. In every `pairs_in`-th trial, two share an image."""
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
