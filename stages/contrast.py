"""Contrast the workloads and answer the four key questions."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from m1.analysis.cells import of_settings, rows_in_pass
from m1.analysis.contrast import make_contrast, why_no_quality
from m1.analysis.evidence import gather_evidence
from m1.analysis.latency import make_stage_result
from m1.analysis.plots import (
    coupling_rows,
    decode_split_rows,
    latency_rows,
    sensitivity_rows,
    stage_rows,
)
from m1.analysis.summary import summarise
from m1.analysis.timed_results import make_timed_results
from m1.analysis.validity import counting_answers
from m1.errors import run_command
from m1.files import Results, read_record, read_rows, written_together
from m1.params import load_params
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import ParetoResult, ScoredAnswer, WorkloadContrast
from m1.schemas.settings import decode_passes


def main(
    rows_file: Annotated[Path, typer.Option("--rows", help="Measured requests.")] = Path(
        "data/profile/rows.parquet"
    ),
    run_file: Annotated[Path, typer.Option("--run", help="Record of the run.")] = Path(
        "data/profile/run.json"
    ),
    scores_folder: Annotated[
        Path, typer.Option("--scores", help="Folder of the scored rows.")
    ] = Path("data/scores"),
    metrics: Annotated[Path, typer.Option("--frontiers", help="Folder of frontiers.")] = Path(
        "metrics"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("metrics"),
    plots: Annotated[Path, typer.Option(help="Folder for the rows of plots.")] = Path("plots/data"),
) -> None:
    """Contrast question answering and captioning on one run."""
    params = load_params(params_file)
    run = read_record(ProfileRun, run_file)
    rows = read_rows(MeasuredRequest, rows_file)
    main_mode = decode_passes(run.decode_mode)[0]
    e1, e2, repeats = (rows_in_pass(one, main_mode, rows) for one in ("e1", "e2", "repeat"))
    e2 = of_settings(e2, run.measured_grid)
    pareto = {w: read_record(ParetoResult, metrics / f"e2_pareto_{w}.json") for w in WORKLOADS}
    run = counting_answers(run, pareto, params.validity.min_answers)
    scores = None
    if why_no_quality(pareto) is None:
        # Of the settings that were measured alone: no others are scored.
        scores = {w: read_rows(ScoredAnswer, scores_folder / f"{w}.parquet") for w in WORKLOADS}
    stages = make_stage_result(e1, run.reference, params.analysis, repeats)
    evidence = gather_evidence(e1, e2, scores, run.measured_grid, params.analysis)
    timed = make_timed_results(rows, scores, run, params.analysis)
    contrast = make_contrast(run, stages, timed, pareto, evidence, params.analysis)
    summary = summarise(contrast, params.analysis.decision_level)
    with written_together() as results:
        results.record(stages, out / "e1_stage_latency.json")
        results.record(contrast, out / "m1_workload_contrast.json")
        results.record(summary, out / "summary.json")
        write_plots(contrast, e1, results, plots)
    print(*contrast.answers.model_dump().values(), sep="\n")


def write_plots(
    contrast: WorkloadContrast, e1: pd.DataFrame, results: Results, folder: Path
) -> None:
    """Write what `dvc plots` draws."""
    results.plot_rows(stage_rows(contrast), folder / "stage_breakdown.json")
    results.plot_rows(latency_rows(e1), folder / "latency_cdf.json")
    results.plot_rows(sensitivity_rows(contrast), folder / "knob_sensitivity.json")
    results.plot_rows(decode_split_rows(contrast), folder / "decode_split.json")
    results.plot_rows(coupling_rows(contrast), folder / "knob_coupling.json")


if __name__ == "__main__":
    run_command(main)
