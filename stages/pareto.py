"""Score the answers of one workload and find its frontier of quality and latency."""

from pathlib import Path
from typing import Annotated

import typer

from m1.analysis.frontier.agreement import check_same_origin
from m1.analysis.inputs import AnswerFiles, ProfileFiles, read_scored_requests
from m1.analysis.pareto import ParetoInputs, make_pareto, outcome
from m1.errors import run_command
from m1.files import written_together
from m1.params import load_params
from m1.plain_text import say
from m1.schemas.requests import Workload


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
    given = ParetoInputs(requests, measured, answered, params.analysis)
    result, scores = make_pareto(given)
    with written_together() as results:
        results.rows(scores, scores_file)
        results.record(result, out)
    say(f"{workload}: {outcome(result)}")


if __name__ == "__main__":
    run_command(main)
