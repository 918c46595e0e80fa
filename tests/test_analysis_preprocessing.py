"""Preprocessing is reported beside the total, and only as far as it was measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysed import make_analysis, measured, of_experiment
from import_graph import ROOT
from simulated import World

from m1.analysis.draws.bootstrap import resamples_of
from m1.analysis.experiments import E1
from m1.analysis.latency.stages import describe_preprocessing, make_stage_result
from m1.files import read_rows
from m1.schemas.profile import MeasuredRequest
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import Preprocessing

WORLD = World(n_images=80, e1_requests=80, e2_requests=0, observer_requests=0)
REFERENCE = of_experiment(measured(WORLD), "e1")
# Measured before opening an image was timed; the smallest of them.
EARLIER = min(
    (ROOT / "data/runs/h200/profile").glob("*/rows.parquet"), key=lambda file: file.stat().st_size
)


def varied(rows: pd.DataFrame) -> pd.DataFrame:
    """Opening of 2 to 4 ms, and the rest of 1 to 2 ms."""
    draw = np.random.default_rng(0).uniform(1, 2, (2, len(rows)))
    return rows.assign(open_image_ms=2 * draw[0], preprocess_ms=2 * draw[0] + draw[1])


QA = varied(REFERENCE[REFERENCE["workload"] == "qa"])


def described(rows: pd.DataFrame) -> Preprocessing:
    return describe_preprocessing(rows, resamples_of(rows, make_analysis()))


def test_it_belongs_to_the_sample_and_its_parts_sum_to_the_whole() -> None:
    found, times = described(QA), QA["preprocess_ms"]
    assert found.mean_ms is not None
    assert found.p50_ms is not None
    assert found.p95_ms is not None
    assert found.relative_to_total is not None
    assert found.mean_ms.value == pytest.approx(times.mean())
    assert found.mean_ms.low < times.mean() < found.mean_ms.high
    assert found.p50_ms.value == pytest.approx(np.quantile(times, 0.5, method="median_unbiased"))
    assert found.p95_ms.value == pytest.approx(np.quantile(times, 0.95, method="median_unbiased"))
    assert found.relative_to_total.value == pytest.approx(times.mean() / QA["total_ms"].mean())
    assert found.parts.keys() == {"open image", "processor"}
    assert found.parts["open image"].value == pytest.approx(QA["open_image_ms"].mean())
    assert sum(part.value for part in found.parts.values()) == pytest.approx(times.mean())


def test_a_percentile_needs_enough_requests() -> None:
    found = described(QA.head(58))
    assert found.p50_ms is not None
    assert found.p95_ms is None


@pytest.mark.parametrize("missing", ["the column", "the values"])
def test_if_opening_was_not_timed_only_the_rest_is_reported(missing: str) -> None:
    rows = QA.drop(columns="open_image_ms")
    if missing == "the values":
        rows = rows.assign(open_image_ms=None)
    found = described(rows)
    told = {name for name, value in found.model_dump().items() if value is not None}
    assert told == {"processor_ms"}
    assert found.processor_ms.value == pytest.approx(QA["preprocess_ms"].mean())
    assert found.parts == {"processor": found.processor_ms}


def test_rows_of_an_earlier_version_are_read_with_opening_not_measured() -> None:
    rows = read_rows(MeasuredRequest, Path(EARLIER))
    e1 = of_experiment(rows, "e1")
    result = make_stage_result(E1.of(e1, make_analysis()), WORLD.grid[0])
    assert result.preprocessing is not None
    for workload in WORKLOADS:
        found = result.preprocessing[workload]
        assert (found.mean_ms, found.open_image_ms) == (None, None)
        mean = e1.loc[e1["workload"] == workload, "preprocess_ms"].mean()
        assert found.processor_ms.value == pytest.approx(mean)
