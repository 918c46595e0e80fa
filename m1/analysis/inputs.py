"""What the stages read, held against each other: an error names two files that do not match."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from m1.analysis.contrast import why_no_quality
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
        """Of the record and its rows, together."""
        return joint_fingerprint(self.run, table_fingerprint(self.rows))

    @classmethod
    def read(cls, run_file: Path, rows_file: Path) -> Self:
        """Read both.

        Raises:
            UserError: if one cannot be read, or the rows are not those of the record.
        """
        run, rows = read_record(ProfileRun, run_file), read_rows(MeasuredRequest, rows_file)
        for wrong in mistakes_in_rows(run, rows):
            raise apart(run_file, rows_file, wrong, ONE_RUN)
        return cls(run_file, rows_file, run, rows)

    def made_from(self, answers: str | None, analysis: AnalysisParams) -> MadeFrom:
        """What results of this run are made from.

        Args:
            answers: fingerprint of the answers; `None` where outputs are no answers.
            analysis: the parameters that they are made with.
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
    """Nothing where outputs are no answers."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read both.

        Raises:
            UserError: if one cannot be read, or the table is not that of the record.
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
        """What the model marks in its outputs; nothing where that is not recorded."""
        return None if self.record.made is None else self.record.made.markup

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the table."""
        return None if self.table is None else table_fingerprint(self.table)


def read_scored_requests(
    workload: Workload, file: Path, profile: ProfileFiles, answers: AnswerFiles
) -> RequestSet:
    """Read the requests of one workload.

    Where nothing is scored by them, their images may be others: those that are made from a size
    alone depend on the library that made them.

    Raises:
        UserError: if they are not those that were measured and answered.
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
    """What the pareto stage found of both workloads."""

    results: dict[Workload, ParetoResult]
    """The frontiers, or why there are none."""
    scores: dict[Workload, pd.DataFrame] | None
    """The scored answers of both, of the settings that were measured; nothing without quality."""
    made_from: MadeFrom
    """What they were made from: this run, and one set of answers."""


def read_frontiers(
    folder: Path,
    scores_folder: Path,
    profile: ProfileFiles,
    params: AnalysisParams,
    params_file: Path,
) -> Frontiers:
    """Read the frontiers of both workloads, and the scores that they rest on.

    Args:
        folder: of the frontiers.
        scores_folder: of the scores.
        profile: the run that they must be those of.
        params: section `analysis`, which they must have been made with.
        params_file: where it was read.

    Raises:
        UserError: if they were made from something else.
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
    """What a frontier was made from, if that is the run and the parameters at hand."""
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
    """What a frontier says that it was made from.

    Raises:
        UserError: if it says nothing, or is that of another workload.
    """
    if result.workload != workload:
        raise UserError(f"{file}: holds the frontier of {result.workload}: {FIND_AGAIN}")
    if result.made_from is None:
        raise UserError(
            f"{file}: does not say what it was made from, as of an old version: {FIND_AGAIN}"
        )
    return result.made_from


def check_unchanged(file: Path, result: ParetoResult) -> None:
    """See that a frontier is as it was found.

    Raises:
        UserError: if it is not.
    """
    if result.fingerprint != result.content_fingerprint:
        raise UserError(f"{file}: changed after the frontier was found: {FIND_AGAIN}")


def read_scores(file: Path, frontier_file: Path, result: ParetoResult) -> pd.DataFrame:
    """Read the scored answers that a frontier was found with.

    Raises:
        UserError: if they are others.
    """
    scores = read_rows(ScoredAnswer, file)
    if table_fingerprint(scores) != result.scores_fingerprint:
        wrong = "the frontier was found with other scores"
        raise apart(file, frontier_file, wrong, "find it again (`dvc repro pareto`)")
    return scores
