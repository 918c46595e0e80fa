"""Score the answers of one workload and find its frontier of quality and latency."""

from pathlib import Path
from typing import Annotated

import typer

from m1.analysis.frontiers import find_frontier
from m1.analysis.plots import frontier_rows
from m1.analysis.scoring import score_rows, scored_requests
from m1.errors import run_command
from m1.files import read_record, read_rows, write_plot_rows, write_record, write_rows
from m1.params import load_params
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import RequestSet, Workload


def main(
    workload: Annotated[Workload, typer.Option(help="Whose frontier.")],
    requests_file: Annotated[Path, typer.Option("--requests", help="Its requests.json.")],
    scores_file: Annotated[Path, typer.Option("--scores", help="Where the scored rows go.")],
    out: Annotated[Path, typer.Option(help="Where the frontier goes.")],
    plot: Annotated[Path, typer.Option(help="Where the rows of its plot go.")],
    rows_file: Annotated[Path, typer.Option("--rows", help="Measured requests.")] = Path(
        "data/profile/rows.parquet"
    ),
    run_file: Annotated[Path, typer.Option("--run", help="Record of the run.")] = Path(
        "data/profile/run.json"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Score a workload's answers over the grid and find its frontier."""
    params = load_params(params_file)
    requests = read_record(RequestSet, requests_file)
    run = read_record(ProfileRun, run_file)
    rows = read_rows(MeasuredRequest, rows_file)
    e2 = rows[rows["experiment"] == "e2"]
    scores = score_rows(e2[e2["workload"] == workload], requests)
    frontier = find_frontier(e2, scores, requests, run.grid, params.analysis)
    write_rows(scored_requests(scores), scores_file)
    write_record(frontier, out)
    write_plot_rows(frontier_rows(frontier), plot)
    on_it = ", ".join(point.label for point in frontier.points if point.on_frontier)
    print(f"{workload}: on the frontier, fastest first: {on_it}")


if __name__ == "__main__":
    run_command(main)
