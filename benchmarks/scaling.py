"""How time and memory of bootstrap and frontiers grow, from 10^4 to 10^6 rows."""

from collections.abc import Callable
from itertools import product
from time import process_time
from tracemalloc import get_traced_memory, start, stop

import numpy as np

from benchmarks.bench import Bench
from benchmarks.ratios import Array, bootstrapped, median_estimate
from benchmarks.row import Aim, Row
from m1.analysis.cells import ScoredCells, TimedCells
from m1.analysis.draws.bootstrap import draw_resamples
from m1.analysis.draws.clusters import of_images
from m1.analysis.frontier.dominance import hypervolume, on_frontier
from m1.analysis.frontier.trade_off import draw_trade_off
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results.estimates import Estimate
from m1.schemas.settings import Setting

GROUP = "5. Bootstrap and frontier"
EXPONENT_AIM = Aim(1.1)
VALUES = (4, 3, 2, 1)
SETTINGS = tuple(
    Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in product(VALUES, repeat=3)
)
SIZES = (10_000, 100_000, 1_000_000)
N_REPEATS = 3
LIMIT = (
    "The work is draws times requests, at every setting. Here each request is a cluster of its "
    "own, which is the costliest case. Frontiers depend only on draws and settings."
)


def rows(bench: Bench) -> list[Row]:
    """Time and memory at every size, and how time grows."""
    analysis, sizes = bench.params.analysis, SIZES[:2] if bench.quick else SIZES
    work(SIZES[0], analysis)  # warms up
    seconds = np.array([[cpu_s(n, analysis) for n in sizes] for _ in range(N_REPEATS)])
    rows = [
        row
        for n, of_size in zip(sizes, seconds.T, strict=True)
        for row in _rows_of_size(n, of_size, bench)
    ]
    grows = bootstrapped(N_REPEATS, lambda drawn: exponent(sizes, seconds[drawn]), bench.rng)
    compared = f"exponent x in time ~ rows^x, from {sizes[0]:,} to {sizes[-1]:,} rows"
    return [*rows, Row(GROUP, compared, grows, EXPONENT_AIM, LIMIT)]


def _rows_of_size(n_rows: int, seconds: Array, bench: Bench) -> tuple[Row, Row]:
    megabytes = peak_mb(lambda: work(n_rows, bench.params.analysis))
    once = Estimate(value=megabytes, low=megabytes, high=megabytes)
    time = median_estimate(seconds, bench.rng)
    return (
        Row(GROUP, f"CPU time at {n_rows:,} rows", time, unit="s"),
        Row(GROUP, f"peak memory at {n_rows:,} rows", once, unit="MB"),
    )


def cpu_s(n_rows: int, analysis: AnalysisParams) -> float:
    """CPU time of the work."""
    started = process_time()
    work(n_rows, analysis)
    return process_time() - started


def work(n_rows: int, analysis: AnalysisParams) -> None:
    """Resample two workloads at 64 settings, and find the frontier in every resample."""
    n_requests = n_rows // len(SETTINGS) // len(WORKLOADS)
    images = tuple(f"{i}" for i in range(n_requests))
    resamples = draw_resamples([of_images(images)], analysis)
    for workload in WORKLOADS:
        timed, scored = made_up(workload, images)
        trade_off = draw_trade_off(timed, scored, resamples, analysis.latency_statistic)
        on_frontier(trade_off.latency_ms, trade_off.quality)
        hypervolume(trade_off.latency_fraction, trade_off.quality_fraction)


def made_up(workload: Workload, images: tuple[str, ...]) -> tuple[TimedCells, ScoredCells]:
    """A made-up time and a made-up score for each request at each setting."""
    rng = np.random.default_rng(0)
    shape = len(images), len(SETTINGS)
    ms = rng.lognormal(size=shape)
    timed = TimedCells(workload, SETTINGS, images, ms, ms[None], np.ones(shape))
    return timed, ScoredCells(images, rng.uniform(size=shape), np.zeros(shape))


def peak_mb(work: Callable[[], object]) -> float:
    """Peak memory of the work, without the memory that was in use before."""
    start()
    work()
    peak = get_traced_memory()[1]
    stop()
    return peak / 2**20


def exponent(sizes: tuple[int, ...], seconds: Array) -> float:
    """Slope of log time over log rows, for the median of the repeats [n_repeats, n_sizes]."""
    return float(np.polyfit(np.log(sizes), np.log(np.median(seconds, axis=0)), 1)[0])
