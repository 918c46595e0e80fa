"""The record type and the name of each result file."""

import difflib

from m1.errors import UserError
from m1.schemas.answers import Answer, AnswersRun
from m1.schemas.base import Record
from m1.schemas.datasets import FetchManifest
from m1.schemas.plan import Drawn, Plan
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import RequestSet, Sample
from m1.schemas.results import ParetoResult, ScoredAnswer, StageResult, Summary, WorkloadContrast

RESULT_FILES: dict[str, type[Record]] = {
    "data/raw/<dataset>.json": FetchManifest,
    "data/plan/plan.json": Plan,
    "data/plan/requests.json": Drawn,
    "data/requests/<workload>/requests.json": RequestSet,
    "data/samples/<workload>.json": Sample,
    "data/profile/rows.parquet": MeasuredRequest,
    "data/profile/run.json": ProfileRun,
    "data/answers/answers.parquet": Answer,
    "data/answers/run.json": AnswersRun,
    "data/scores/<workload>.parquet": ScoredAnswer,
    "metrics/e1_stage_latency.json": StageResult,
    "metrics/e2_pareto_<workload>.json": ParetoResult,
    "metrics/m1_workload_contrast.json": WorkloadContrast,
    "metrics/summary.json": Summary,
}

NAMES = {
    "fetch-manifest": "data/raw/<dataset>.json",
    "plan": "data/plan/plan.json",
    "drawn-requests": "data/plan/requests.json",
    "requests": "data/requests/<workload>/requests.json",
    "sample": "data/samples/<workload>.json",
    "profile-rows": "data/profile/rows.parquet",
    "profile-run": "data/profile/run.json",
    "answers": "data/answers/answers.parquet",
    "answers-run": "data/answers/run.json",
    "scores": "data/scores/<workload>.parquet",
    "stage-latency": "metrics/e1_stage_latency.json",
    "pareto": "metrics/e2_pareto_<workload>.json",
    "contrast": "metrics/m1_workload_contrast.json",
    "summary": "metrics/summary.json",
}
"""The files by the names that `m1 schema` takes."""


def layout_of(name: str) -> type[Record]:
    """The record of a result file, by its name or its path.

    Raises:
        UserError: if there is no result file with that name.
    """
    if record := RESULT_FILES.get(NAMES.get(name, name)):
        return record
    near = difflib.get_close_matches(name, NAMES, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"{name}: no result file has this name; {guess}names: {', '.join(NAMES)}")
