"""Inputs of the stages that do not belong together are refused in one line; correct ones run."""

import contextlib
import io
import shutil
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest
from broken_inputs import (
    ANSWERS,
    CASES,
    CDF,
    CONTRAST,
    FRONTIER,
    GONE,
    MADE,
    QA_FRONTIER,
    RUN,
    Case,
    StageName,
    edit,
)
from simulated import World, simulate_project
from test_analysis_stages import pareto_options

from m1.errors import run_command
from m1.files import read_record
from m1.origin import table_fingerprint
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import ParetoResult, StageResult, Summary, WorkloadContrast
from stages import contrast, figures, pareto

WORLD = World(
    vision_tokens=(144, 16),
    top_k=(4,),
    active_blocks=(8, 4),
    n_images=16,
    e1_requests=6,
    e2_requests=6,
    answered_requests=7,
    observer_requests=2,
    anchor_requests=1,
    n_trials=3,
)
# The same plan on another day: every file has the same shape.
OTHER = replace(WORLD, stage_noise=0.03, other_in_batches=0.3)

MAINS = {"pareto": pareto.main, "contrast": contrast.main, "figures": figures.main}
DRAWN = {"--contrast": CONTRAST, "--cdf": CDF, "--out": "plots/figures"}


def run_stage(folder: Path, stage: StageName, workload: Workload = "qa") -> tuple[int, str]:
    """Exit code of a stage, and what it said was wrong."""
    options = {"pareto": pareto_options(workload), "contrast": {}, "figures": DRAWN}[stage]
    told = io.StringIO()
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", [stage, *chain(*options.items())]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(told),
        pytest.raises(SystemExit) as ended,
    ):
        run_command(MAINS[stage])
    code = ended.value.code
    return (code if isinstance(code, int) else 0), told.getvalue()


def analyse(folder: Path, world: World) -> Path:
    simulate_project(folder, world)
    for workload in WORKLOADS:
        assert run_stage(folder, "pareto", workload) == (0, "")
    assert run_stage(folder, "contrast") == (0, "")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analyse(tmp_path_factory.mktemp("project"), WORLD)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analyse(tmp_path_factory.mktemp("other"), OTHER)


def test_inputs_of_one_run_run_through(project: Path) -> None:
    assert run_stage(project, "figures") == (0, "")


def test_results_carry_what_they_were_made_from(project: Path, other: Path) -> None:
    made = [read_record(ParetoResult, project / f).made_from for f in (QA_FRONTIER, FRONTIER)]
    made += [read_record(WorkloadContrast, project / CONTRAST).made_from]
    made += [read_record(StageResult, project / "metrics/e1_stage_latency.json").made_from]
    first = made[0]
    assert first is not None
    assert all(one == first for one in made)
    answers = pd.read_parquet(project / ANSWERS)
    assert first.answers == table_fingerprint(answers)
    assert first.analysis["n_resamples"] == 100
    summary = read_record(Summary, project / "metrics/summary.json")
    assert summary.run == first.run[:8]
    assert summary.run != read_record(Summary, other / "metrics/summary.json").run


def test_records_of_earlier_versions_are_checked_as_far_as_they_tell(
    project: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(project, tmp_path / "old")
    edit(folder / RUN, {"rows_fingerprint": GONE})
    edit(folder / MADE, {"made.answers_fingerprint": GONE})
    assert run_stage(folder, "pareto") == (0, "")
    edit(folder / RUN, {"n_rows": 5})
    assert run_stage(folder, "pareto")[0] == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_inputs_that_do_not_belong_together_are_refused_in_one_line(
    project: Path, other: Path, tmp_path: Path, case: Case
) -> None:
    folder = shutil.copytree(project, tmp_path / "project")
    case.break_it(folder, other)
    before = contents(folder)
    code, said = run_stage(folder, case.stage)
    assert code == 1
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert all(file in said for file in case.named), said
    assert case.told in said
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
