"""E2 of one workload: its scored answers, and the frontier that is found with them."""

from dataclasses import dataclass

import pandas as pd

from m1.analysis.cells import of_settings, rows_in_pass
from m1.analysis.frontier.agreement import compare
from m1.analysis.frontier.frontier import find_frontier
from m1.analysis.frontier.scoring import score_rows, scored_answers
from m1.analysis.frontier.trade_off import NoQualityError
from m1.analysis.inputs import AnswerFiles, ProfileFiles
from m1.analysis.milliseconds import Milliseconds
from m1.machine_course import course_of
from m1.origin import rows_fingerprint
from m1.params import AnalysisParams
from m1.schemas.requests import RequestSet
from m1.schemas.results import Agreement, Frontier, ParetoResult, ScoredAnswer
from m1.schemas.settings import decode_passes


@dataclass(frozen=True)
class ParetoInputs:
    """What the frontier of a workload is made from."""

    requests: RequestSet
    measured: ProfileFiles
    answered: AnswerFiles
    analysis: AnalysisParams


def make_pareto(given: ParetoInputs) -> tuple[ParetoResult, list[ScoredAnswer]]:
    """Find the frontier of a workload.

    Returns:
        The frontier, or the reason why there is none; and the scored answers, if outputs are
        answers.
    """
    answers, scores = given.answered.table, list[ScoredAnswer]()
    if answers is None:
        result = _result(given, given.answered.record.not_available)
    else:
        result, scores = _with_answers(given, answers)
    made_from = given.measured.made_from(given.answered.fingerprint, given.analysis)
    result = result.model_copy(
        update={"made_from": made_from, "scores_fingerprint": rows_fingerprint(scores)}
    )
    return result.model_copy(update={"fingerprint": result.content_fingerprint}), scores


def _with_answers(
    given: ParetoInputs, answers: pd.DataFrame
) -> tuple[ParetoResult, list[ScoredAnswer]]:
    requests, run, analysis = given.requests, given.measured.run, given.analysis
    workload, markup = requests.workload, given.answered.markup
    grid = run.measured_grid
    mode = decode_passes(run.decode_mode)[0]
    rows = given.measured.rows
    course = course_of(rows)
    e2 = of_settings(rows_in_pass("e2", mode, course.without(rows)), grid)
    answers = of_settings(answers, grid)
    scores = score_rows(answers[answers["workload"] == workload], requests, markup)
    try:
        frontier = find_frontier(e2, answers, scores, requests, grid, analysis)
    except NoQualityError as reason:
        return _result(given, str(reason)), scored_answers(scores)
    frontier = Milliseconds.of(run.validity, course).widened(frontier)
    agreement = compare(e2[e2["workload"] == workload], scores, requests, analysis, markup)
    return _result(given, frontier=frontier, agreement=agreement), scored_answers(scores)


def _result(
    given: ParetoInputs,
    reason: str | None = None,
    frontier: Frontier | None = None,
    agreement: Agreement | None = None,
) -> ParetoResult:
    return ParetoResult(
        workload=given.requests.workload,
        quality_not_available=reason,
        frontier=frontier,
        agreement=agreement,
        failed=tuple(cell for cell in given.measured.run.failed if cell.experiment == "e2"),
    )


def outcome(result: ParetoResult) -> str:
    """The result in a line."""
    if result.frontier is None:
        return f"no frontier. {result.quality_not_available}"
    on_it = (point.label for point in result.frontier.points if point.on_frontier)
    return f"on the frontier, fastest first: {', '.join(on_it)}"
