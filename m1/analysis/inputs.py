"""The input files of the stages, compared with each other. Errors name two files that differ."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from m1.analysis.contrast.contrast import why_no_quality
from m1.analysis.row_mistakes import mistakes_in_answers, mistakes_in_rows, mistakes_of_requests
from m1.errors import UserError
from m1.files import read_record, read_rows
from m1.origin import apart, joint_fingerprint, table_fingerprint
from m1.params import AnalysisParams
from m1.prepared import read_requests
from m1.schemas.answers import Answer, AnswersRun
from m1.schemas.markup import Markup
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS, RequestSet, Workload
from m1.schemas.results import ParetoResult, ScoredAnswer

ONE_RUN = "give both of one run (`dvc repro` makes what is missing)"
FIND_AGAIN = "find the frontiers again (`dvc repro pareto`)"


@dataclass(frozen=True)
class ProfileFiles:
    """A profile run: its record and its rows."""

    run_file: Path
    rows_file: Path
    run: ProfileRun
    rows: pd.DataFrame

    @cached_property
    def _fingerprint(self) -> str:
        """The fingerprint of the record and its rows together."""
        return joint_fingerprint(self.run, table_fingerprint(self.rows))

    @classmethod
    def read(cls, run_file: Path, rows_file: Path) -> Self:
        """Read both.

        Raises:
            UserError: if a file cannot be read, or the rows do not belong to the record.
        """
        run, rows = read_record(ProfileRun, run_file), read_rows(MeasuredRequest, rows_file)
        for wrong in mistakes_in_rows(run, rows):
            raise apart(run_file, rows_file, wrong, ONE_RUN)
        return cls(run_file, rows_file, run, rows)

    def made_from(self, answers: str | None, analysis: AnalysisParams) -> MadeFrom:
        """The sources of results of this run.

        Args:
            answers: fingerprint of the answers; `None` if outputs are no answers.
            analysis: the parameters of the results.
        """
        return MadeFrom(
            run=self._fingerprint,
            answers=answers,
            requests=self.run.provenance.data_fingerprints,
            analysis=analysis.model_dump(mode="json"),
        )


@dataclass(frozen=True)
class AnswerFiles:
    """Answers: the record of how they were made, and the table."""

    record_file: Path
    table_file: Path
    record: AnswersRun
    table: pd.DataFrame | None
    """`None` if outputs are no answers."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read both.

        Raises:
            UserError: if a file cannot be read, or the table does not belong to the record.
        """
        files = folder / "run.json", folder / "answers.parquet"
        record = read_record(AnswersRun, files[0])
        if record.made is None:
            return cls(*files, record, None)
        table = read_rows(Answer, files[1])
        for wrong in mistakes_in_answers(record.made, table):
            raise apart(*files, wrong, "answer again (`dvc repro answers`)")
        return cls(*files, record, table)

    @property
    def markup(self) -> Markup | None:
        """How the model marks parts of its outputs; `None` if that is not recorded."""
        return None if self.record.made is None else self.record.made.markup

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the table."""
        return None if self.table is None else table_fingerprint(self.table)


def read_scored_requests(
    workload: Workload, file: Path, profile: ProfileFiles, answers: AnswerFiles
) -> RequestSet:
    """Read the requests of one workload.

    If outputs are not scored, the images may differ: an image that is made from a size alone
    depends on the library that made it.

    Raises:
        UserError: if these requests are not the ones that were measured and answered.
    """
    requests = read_requests(file)
    if requests.workload != workload:
        raise UserError(
            f"{file}: holds the requests of {requests.workload}: name those of {workload}, as "
            "--workload says"
        )
    for wrong in mistakes_of_requests(requests, profile.rows):
        raise apart(profile.rows_file, file, wrong, ONE_RUN)
    if answers.table is None:
        return requests
    measured = profile.run.provenance.data_fingerprints[workload]
    if requests.fingerprint != measured:
        wrong = f"{workload} was measured on requests with fingerprint {measured[:8]}"
        wrong += f", these have {requests.fingerprint[:8]}"
        raise apart(profile.run_file, file, wrong, ONE_RUN)
    for wrong in mistakes_of_requests(requests, answers.table):
        raise apart(answers.table_file, file, wrong, "answer again (`dvc repro answers`)")
    return requests


@dataclass(frozen=True)
class Frontiers:
    """The results of the pareto stage for both workloads."""

    results: dict[Workload, ParetoResult]
    """The frontiers, or why there are none."""
    scores: dict[Workload, pd.DataFrame] | None
    """Scored answers of both workloads at the measured settings; `None` without quality."""
    made_from: MadeFrom
    """The sources of the results: this run, and one set of answers."""


def read_frontiers(
    folder: Path,
    scores_folder: Path,
    profile: ProfileFiles,
    params: AnalysisParams,
    params_file: Path,
) -> Frontiers:
    """Read the frontiers of both workloads, and the scores that they rest on.

    Args:
        folder: the folder of the frontiers.
        scores_folder: the folder of the scores.
        profile: the run that the frontiers must come from.
        params: section `analysis`, which the frontiers must have been made with.
        params_file: the file with these parameters.

    Raises:
        UserError: if the frontiers were made from other sources.
    """
    files = {w: folder / f"e2_pareto_{w}.json" for w in WORKLOADS}
    results = {w: read_record(ParetoResult, file) for w, file in files.items()}
    origins = {w: _origin(w, files[w], results[w], profile, params, params_file) for w in WORKLOADS}
    if origins["qa"] != origins["captioning"]:
        raise apart(
            files["qa"], files["captioning"], "they were made from different answers", ONE_RUN
        )
    scores = None
    if why_no_quality(results) is None:
        scores = {
            w: read_scores(scores_folder / f"{w}.parquet", files[w], results[w]) for w in WORKLOADS
        }
    return Frontiers(results, scores, origins["qa"])


def _origin(
    workload: Workload,
    file: Path,
    result: ParetoResult,
    profile: ProfileFiles,
    params: AnalysisParams,
    params_file: Path,
) -> MadeFrom:
    """The sources of a frontier, after a check that they are this run and these parameters."""
    run, made_from = profile.run, origin_of(workload, file, result)
    expected = profile.made_from(made_from.answers, params)
    if (made_from.run, made_from.requests) != (expected.run, expected.requests):
        raise apart(file, profile.run_file, "the frontier is that of another run", FIND_AGAIN)
    for name, value in expected.analysis.items():
        if (before := made_from.analysis.get(name)) != value:
            wrong = f"analysis.{name} was {before} when the frontier was found, and is {value}"
            raise apart(file, params_file, wrong, FIND_AGAIN)
    check_unchanged(file, result)
    frontier = result.frontier
    if frontier and {point.setting for point in frontier.points} != set(run.measured_grid):
        raise apart(
            file, profile.run_file, "the frontier is over other settings than E2", FIND_AGAIN
        )
    return made_from


def origin_of(workload: Workload, file: Path, result: ParetoResult) -> MadeFrom:
    """The sources that a frontier file records.

    Raises:
        UserError: if the file records no sources, or is the frontier of another workload.
    """
    if result.workload != workload:
        raise UserError(f"{file}: holds the frontier of {result.workload}: {FIND_AGAIN}")
    if result.made_from is None:
        raise UserError(
            f"{file}: does not say what it was made from, so an old version made it: {FIND_AGAIN}"
        )
    return result.made_from


def check_unchanged(file: Path, result: ParetoResult) -> None:
    """Check that a frontier was not changed after it was found.

    Raises:
        UserError: if it was changed.
    """
    if result.fingerprint != result.content_fingerprint:
        raise UserError(f"{file}: changed after the frontier was found: {FIND_AGAIN}")


def read_scores(file: Path, frontier_file: Path, result: ParetoResult) -> pd.DataFrame:
    """Read the scored answers that a frontier was found with.

    Raises:
        UserError: if the frontier was found with other scores.
    """
    scores = read_rows(ScoredAnswer, file)
    if table_fingerprint(scores) != result.scores_fingerprint:
        wrong = "the frontier was found with other scores"
        raise apart(file, frontier_file, wrong, "find it again (`dvc repro pareto`)")
    return scores
