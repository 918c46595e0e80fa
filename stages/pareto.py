"""Score the answers of one workload and find its frontier of quality and latency."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from m1.analysis.agreement import check_same_origin, compare
from m1.analysis.cells import of_settings, rows_in_pass
from m1.analysis.frontiers import find_frontier
from m1.analysis.inputs import AnswerFiles, ProfileFiles, read_scored_requests
from m1.analysis.scoring import score_rows, scored_answers
from m1.analysis.trade_off import NoQualityError
from m1.errors import run_command
from m1.files import written_together
from m1.origin import rows_fingerprint
from m1.params import AnalysisParams, load_params
from m1.plain_text import say
from m1.schemas.markup import Markup
from m1.schemas.profile import FailedCell, ProfileRun
from m1.schemas.requests import RequestSet, Workload
from m1.schemas.results import ParetoResult, ScoredAnswer
from m1.schemas.settings import decode_passes


def main(
    workload: Annotated[Workload, typer.Option(help="Whose frontier.")],
    requests_file: Annotated[Path, typer.Option("--requests", help="Its requests.json.")],
    scores_file: Annotated[Path, typer.Option("--scores", help="Where the scored answers go.")],
    out: Annotated[Path, typer.Option(help="Where the frontier goes.")],
    profile: Annotated[Path, typer.Option(help="Folder of measured requests.")] = Path(
        "data/profile"
    ),
    answers: Annotated[Path, typer.Option(help="Folder of answers.")] = Path("data/answers"),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Score a workload's answers over the grid and find its frontier."""
    params = load_params(params_file)
    measured = ProfileFiles.read(profile / "run.json", profile / "rows.parquet")
    answered = AnswerFiles.read(answers)
    check_same_origin(measured, answered)
    requests = read_scored_requests(workload, requests_file, measured, answered)
    scores: list[ScoredAnswer] = []
    if answered.table is None:
        result = without_quality(workload, answered.record.not_available, measured.run)
    else:
        table, markup = answered.table, answered.markup
        result, scores = with_quality(requests, measured, table, params.analysis, markup)
    made_from = measured.made_from(answered.fingerprint, params.analysis)
    result = result.model_copy(
        update={"made_from": made_from, "scores_fingerprint": rows_fingerprint(scores)}
    )
    result = result.model_copy(update={"fingerprint": result.content_fingerprint})
    with written_together() as results:
        results.rows(scores, scores_file)
        results.record(result, out)
    say(f"{workload}: {outcome(result)}")


def without_quality(workload: Workload, reason: str | None, run: ProfileRun) -> ParetoResult:
    """A result without a frontier, with the reason."""
    return ParetoResult(
        workload=workload,
        quality_not_available=reason,
        frontier=None,
        agreement=None,
        failed=failed_in_e2(run),
    )


def failed_in_e2(run: ProfileRun) -> tuple[FailedCell, ...]:
    """The cells of E2 that could not be measured."""
    return tuple(cell for cell in run.failed if cell.experiment == "e2")


def with_quality(
    requests: RequestSet,
    measured: ProfileFiles,
    answers: pd.DataFrame,
    analysis: AnalysisParams,
    markup: Markup | None,
) -> tuple[ParetoResult, list[ScoredAnswer]]:
    """The frontier, and the scored answers that it was found with."""
    workload, run = requests.workload, measured.run
    grid = run.measured_grid
    e2 = of_settings(rows_in_pass("e2", decode_passes(run.decode_mode)[0], measured.rows), grid)
    answers = of_settings(answers, grid)
    scores = score_rows(answers[answers["workload"] == workload], requests, markup)
    try:
        frontier = find_frontier(e2, answers, scores, requests, grid, analysis)
    except NoQualityError as reason:
        return without_quality(workload, str(reason), run), scored_answers(scores)
    result = ParetoResult(
        workload=workload,
        quality_not_available=None,
        frontier=frontier,
        agreement=compare(e2[e2["workload"] == workload], scores, requests, analysis, markup),
        failed=failed_in_e2(run),
    )
    return result, scored_answers(scores)


def outcome(result: ParetoResult) -> str:
    """The result in a line."""
    if result.frontier is None:
        return f"no frontier. {result.quality_not_available}"
    on_it = (point.label for point in result.frontier.points if point.on_frontier)
    return f"on the frontier, fastest first: {', '.join(on_it)}"


if __name__ == "__main__":
    run_command(main)
