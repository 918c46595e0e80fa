"""Simulated runs, taken as far through the analysis as a test needs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from simulated import World, simulate_requests, simulate_rows

from m1.analysis.evidence import Evidence, gather_evidence
from m1.analysis.scoring import score_rows
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload


def make_analysis(**changes: Any) -> AnalysisParams:
    """Section `analysis` of params.yaml, small enough for tests."""
    values: dict[str, Any] = {
        "seed": 1,
        "n_resamples": 200,
        "confidence": 0.95,
        "latency_statistic": "median",
        "quality_levels": (0.99, 0.95, 0.9),
        "decision_level": 0.9,
    }
    return AnalysisParams(**(values | changes))


def measured(world: World, seed: int = 0) -> pd.DataFrame:
    """Every row of a simulated run."""
    return pd.DataFrame([row.model_dump() for row in simulate_rows(seed, world)])


def of_experiment(rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    return rows[rows["experiment"] == experiment]


def scored(world: World, rows: pd.DataFrame) -> dict[Workload, pd.DataFrame]:
    """The rows of E2 of each workload with their quality."""
    e2 = of_experiment(rows, "e2")
    requests = {w: simulate_requests(w, world) for w in WORKLOADS}
    return {w: score_rows(e2[e2["workload"] == w], requests[w]) for w in WORKLOADS}


def evidence_of(
    world: World, seed: int = 0, analysis: AnalysisParams | None = None
) -> Mapping[Workload, Evidence]:
    """Everything the findings are about."""
    rows = measured(world, seed)
    e1 = of_experiment(rows, "e1")
    return gather_evidence(e1, scored(world, rows), world.grid, analysis or make_analysis())
