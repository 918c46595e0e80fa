"""Simulated runs, analysed up to the step that a test needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from simulated import World, simulate_answers, simulate_requests, simulate_rows

from m1.analysis.contrast.evidence import Evidence, gather_evidence
from m1.analysis.draws.bootstrap import Resamples
from m1.analysis.draws.confidence import Draws
from m1.analysis.experiments import E1, E2
from m1.analysis.frontier.frontier import find_frontier
from m1.analysis.frontier.scoring import score_rows
from m1.params import AnalysisParams
from m1.schemas.base import Record
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Frontier


def make_analysis(**changes: Any) -> AnalysisParams:
    """Section `analysis` of params.yaml, small enough for tests."""
    values: dict[str, Any] = {
        "seed": 1,
        "n_resamples": 200,
        "confidence": 0.95,
        "min_clusters": 2,
        "smallest_effect": {
            "share": 5.0,
            "sensitivity": 2.0,
            "preference": 0.05,
            "steepness": 0.1,
        },
        "latency_statistic": "median",
        "quality_levels": (0.99, 0.95, 0.9),
        "decision_level": 0.9,
    }
    return AnalysisParams(**(values | changes))


def weights_of(drawn: Resamples, images: Sequence[str]) -> Draws:
    """Weight of each request, from that of its image [1 + n_resamples, n_requests]."""
    return drawn.counts[:, drawn.places(images)]


def measured(world: World, seed: int = 0) -> pd.DataFrame:
    """Every row of a simulated run."""
    return frame_of(simulate_rows(seed, world))


def answered(world: World, seed: int = 0) -> pd.DataFrame:
    """The answers of both workloads to the same run."""
    return frame_of(simulate_answers(simulate_rows(seed, world), world, seed))


def frame_of(records: Sequence[Record]) -> pd.DataFrame:
    return pd.DataFrame([record.model_dump() for record in records])


def of_experiment(rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    return rows[rows["experiment"] == experiment]


def of_workload(workload: Workload, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["workload"] == workload]


def scored(world: World, seed: int = 0) -> dict[Workload, pd.DataFrame]:
    """The answers of each workload with their quality."""
    answers = answered(world, seed)
    requests = {w: simulate_requests(w, world) for w in WORKLOADS}
    return {w: score_rows(of_workload(w, answers), requests[w]) for w in WORKLOADS}


def frontier_in(
    world: World, workload: Workload, seed: int = 0, analysis: AnalysisParams | None = None
) -> Frontier:
    """The frontier of one workload."""
    rows = of_experiment(measured(world, seed), "e2")
    scores = scored(world, seed)
    requests = simulate_requests(workload, world)
    answers = pd.concat(scores.values())
    return find_frontier(
        rows, answers, scores[workload], requests, world.grid, analysis or make_analysis()
    )


def evidence_of(
    world: World, seed: int = 0, analysis: AnalysisParams | None = None, *, quality: bool = True
) -> Mapping[Workload, Evidence]:
    """All evidence that the findings use."""
    rows = measured(world, seed)
    scores, analysis = scored(world, seed) if quality else None, analysis or make_analysis()
    e1 = E1.of(of_experiment(rows, "e1"), analysis)
    e2 = E2.of(of_experiment(rows, "e2"), scores, world.grid, analysis)
    return gather_evidence(e1, e2, analysis)
