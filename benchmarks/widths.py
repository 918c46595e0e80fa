"""How much medians differ from run to run, by our protocol and by the naive protocol."""

from dataclasses import replace

import numpy as np

from benchmarks.bench import Bench
from benchmarks.protocols import NAIVE_REPEATS
from benchmarks.ratios import Array, Rng, bootstrapped
from benchmarks.worlds import CoverageWorld
from m1.schemas.results.estimates import Estimate

SPELL = CoverageWorld().spell
N_RUNS = 1000


def width_ratio(bench: Bench, spell: float) -> Estimate:
    """Width of the range of medians, ours divided by naive, as a mean over the settings.

    Args:
        bench: its parameters give the counts of questions.
        spell: scale of slow spells; 0 for a machine without slow spells.
    """
    profile, quality = bench.params.profile, bench.params.quality
    n_trials, n_timed = profile.n_trials, profile.e2_requests.qa
    world = CoverageWorld(n_trials=n_trials, per_trial=max(1, n_timed // n_trials), spell=spell)
    n_runs = bench.n(N_RUNS)
    ours = np.array([ours_medians(world, bench.rng) for _ in range(n_runs)])
    n_naive = quality.n_requests.qa
    naive = np.array([naive_medians(world, n_naive, bench.rng) for _ in range(n_runs)])
    return bootstrapped(
        n_runs, lambda drawn: float((width(ours[drawn]) / width(naive[drawn])).mean()), bench.rng
    )


def ours_medians(world: CoverageWorld, rng: Rng) -> Array:
    """Median latency of each setting in one run of our protocol: every trial has all settings."""
    _, timed, _ = world.simulate_e2(rng)
    return np.asarray(np.median(timed.total_ms, axis=0))


def naive_medians(world: CoverageWorld, n_requests: int, rng: Rng) -> Array:
    """The same by the naive protocol: each setting is measured in one go, in a spell of its own."""
    calmer = replace(world, noise=world.noise / NAIVE_REPEATS**0.5)
    images = np.arange(n_requests) // 2
    times = calmer.draw(rng, images, np.zeros_like(images), len(world.grid))
    return np.asarray(np.median(times.sum(axis=0), axis=0))


def width(medians: Array) -> Array:
    """Width of the range with 95 % of the runs' medians, relative to its middle [n_settings]."""
    low, middle, high = np.quantile(medians, (0.025, 0.5, 0.975), axis=0)
    return np.asarray((high - low) / middle)
