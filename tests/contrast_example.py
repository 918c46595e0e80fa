"""The contrast of a made-up run, similar to SceneVLM's on a CPU, by the analysis of real runs."""

import contextlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from simulated import World, simulate_project, simulate_rows

from m1.figures.latency_cdf import LatencyPoint
from m1.files import read_plot_rows, read_record
from m1.schemas.profile import Check, MeasuredRequest, Validity
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier, LatencyDistribution, WorkloadContrast
from stages import contrast as contrast_stage
from stages import pareto

N_E1, N_E2, N_SCORED = 300, 30, 36
WORLD = World(
    n_images=N_E1,
    e1_requests=N_E1,
    e2_requests=N_E2,
    answered_requests=N_SCORED,
    observer_requests=0,
    anchor_requests=3,
    n_trials=N_E2,
    output_tokens={"qa": 3, "captioning": 45},
    length_spread=0.13,
    cut_share=0.02,
    other_in_batches=0.02,
    cost_ms={
        "qa": {"vision": 5.1, "projector": 0.31, "prefill": 22.8, "decode": 2.1},
        "captioning": {"vision": 5.0, "projector": 0.3, "prefill": 23.3, "decode": 3.7},
    },
)
GRID = WORLD.grid
WHY = "The weights are random, so answers mean nothing."


@cache
def analysed(why_no_quality: str | None = None) -> tuple[WorkloadContrast, list[LatencyPoint]]:
    """The contrast and the plot data of latency, with all checks of the run passed."""
    with TemporaryDirectory() as name, contextlib.chdir(name):
        simulate_project(Path(), WORLD, why_no_quality, prepared_rows())
        for w in WORKLOADS:
            requests, scores = f"data/requests/{w}/requests.json", f"data/scores/{w}.parquet"
            pareto.main(w, *map(Path, (requests, scores, f"metrics/e2_pareto_{w}.json")))
        contrast_stage.main()
        found = read_record(WorkloadContrast, Path("metrics/m1_workload_contrast.json"))
        points = read_plot_rows(LatencyPoint, Path("plots/data/latency_cdf.json"))
    return found, points


@cache
def prepared_rows() -> list[MeasuredRequest]:
    """The rows of the run; each image has its own times for opening and processing."""
    rows = simulate_rows(0, WORLD)
    opening, processor = np.random.default_rng(0).normal((4.5, 2.9), 0.4, (len(rows), 2)).T.tolist()
    return [
        row.model_copy(update={"open_image_ms": o, "preprocess_ms": o + p})
        for row, o, p in zip(rows, opening, processor, strict=True)
    ]


def contrast(**changes: Any) -> WorkloadContrast:
    """The whole contrast, with fields replaced."""
    return WorkloadContrast(**dict(analysed()[0]) | {"validity": validity()} | changes)


def contrast_without_quality() -> WorkloadContrast:
    """The same if outputs are no answers."""
    return analysed(WHY)[0].model_copy(update={"validity": validity()})


def frontiers() -> dict[Workload, Frontier]:
    """The frontiers of the whole contrast."""
    return dict(contrast().frontiers or {})


def tails_of_two_causes() -> dict[Workload, LatencyDistribution]:
    """The latency of both workloads, with P95 caused by the requests and P99 by the machine."""
    causes = {"tail_cause": {"p95_ms": "requests", "p99_ms": "machine"}}
    return {
        w: one.model_copy(
            update={"variation": one.variation and one.variation.model_copy(update=causes)}
        )
        for w, one in contrast().latency.items()
    }


def cdf_points() -> list[LatencyPoint]:
    """Latencies of E1, the fastest of a workload first."""
    return analysed()[1]


def validity(*reasons: str) -> Validity:
    """The validity of a run that passed seven checks, or failed them for these reasons."""
    check = Check(name="closure", value=0.002, threshold=0.01, passed=True, detail="")
    failed = (check.model_copy(update={"passed": False, "detail": why}) for why in reasons)
    return Validity.of((check,) * (7 - len(reasons)) + tuple(failed))


def spoiled_milliseconds() -> Validity:
    """The validity of a run that drifted, and is valid for ratios."""
    drift = {"name": "drift", "passed": False, "detail": "it drifted", "spoils": "milliseconds"}
    passed = validity().checks
    return Validity.of((*passed, passed[0].model_copy(update=drift)))
