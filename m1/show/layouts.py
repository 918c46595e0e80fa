"""Which record each result file holds."""

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
