"""Time and memory of the bootstrap, from 10^4 to 10^6 rows: does it scale?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from tracemalloc import get_traced_memory, start, stop
from typing import Annotated

import numpy as np
import typer

from m1.analysis.bootstrap import draw_resamples
from m1.analysis.clusters import of_images
from m1.errors import run_command
from m1.params import AnalysisParams, load_params

N_SETTINGS = 64
N_WORKLOADS = 2
SIZES = (10_000, 100_000, 128_000, 1_000_000)
"""Rows; 128,000 are 64 settings x 1,000 requests x 2 workloads."""


@dataclass(frozen=True)
class Cost:
    """What one bootstrap took."""

    n_rows: int
    cpu_seconds: float
    peak_mb: float


def main(
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Median latency and mean quality of 64 settings and 2 workloads, in every resample."""
    analysis = load_params(params_file).analysis
    measure(SIZES[0], analysis)  # warms up
    costs = [measure(n_rows, analysis) for n_rows in SIZES]
    for cost in costs:
        time, memory = f"{cost.cpu_seconds:6.2f} s of CPU time", f"{cost.peak_mb:6,.0f} MB"
        print(f"{cost.n_rows:>9,} rows: {time}, {memory} at the peak")
    print(f"time goes as rows to the power of {exponent(costs):.2f}")


def measure(n_rows: int, analysis: AnalysisParams) -> Cost:
    """CPU time and peak memory, each in a run of its own, for watching memory takes time."""
    values = made_up(n_rows)
    started = process_time()
    bootstrap(values, analysis)
    seconds = process_time() - started
    return Cost(n_rows, seconds, peak_mb(lambda: bootstrap(values, analysis)))


def made_up(n_rows: int) -> np.ndarray:
    """Latencies of requests at each setting [n_workloads, n_requests, n_settings]."""
    n_requests = n_rows // N_SETTINGS // N_WORKLOADS
    return np.random.default_rng(0).lognormal(size=(N_WORKLOADS, n_requests, N_SETTINGS))


def bootstrap(values: np.ndarray, analysis: AnalysisParams) -> None:
    """Draw resamples of as many clusters as requests, the costliest case, and use them for all."""
    images = [f"{i}" for i in range(values.shape[1])]
    resamples = draw_resamples([of_images(images)], analysis)
    for of_workload in values:
        resamples.quantile(of_workload, images, 0.5)
        resamples.mean(of_workload, images)


def peak_mb(work: Callable[[], object]) -> float:
    """Most memory that the work held at once, beside what was there before."""
    start()
    work()
    peak = get_traced_memory()[1]
    stop()
    return peak / 2**20


def exponent(costs: list[Cost]) -> float:
    """Slope of the logarithm of time over that of rows."""
    rows, seconds = (
        np.log([getattr(c, name) for c in costs]) for name in ("n_rows", "cpu_seconds")
    )
    return float(np.polyfit(rows, seconds, 1)[0])


if __name__ == "__main__":
    run_command(main)
