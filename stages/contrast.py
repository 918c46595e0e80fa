"""Contrast the workloads and answer the four key questions."""

from pathlib import Path
from typing import Annotated

import typer

from m1.analysis.cells import of_settings, rows_in_pass
from m1.analysis.contrast import make_contrast
from m1.analysis.evidence import gather_evidence
from m1.analysis.inputs import ProfileFiles, read_frontiers
from m1.analysis.latency import make_stage_result
from m1.analysis.plots import (
    Row,
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
from m1.files import Results, written_together
from m1.origin import rows_fingerprint
from m1.params import load_params
from m1.plain_text import say
from m1.schemas.results import WorkloadContrast
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
    profile = ProfileFiles.read(run_file, rows_file)
    frontiers = read_frontiers(metrics, scores_folder, profile, params.analysis, params_file)
    run, rows, pareto, scores = profile.run, profile.rows, frontiers.results, frontiers.scores
    main_mode = decode_passes(run.decode_mode)[0]
    e1, e2, repeats = (rows_in_pass(one, main_mode, rows) for one in ("e1", "e2", "repeat"))
    e2 = of_settings(e2, run.measured_grid)
    run = counting_answers(run, pareto, params.validity.min_answers)
    stages = make_stage_result(e1, run.reference, params.analysis, repeats, frontiers.made_from)
    evidence = gather_evidence(e1, e2, scores, run.measured_grid, params.analysis)
    timed = make_timed_results(rows, scores, run, params.analysis)
    cdf = latency_rows(e1)
    contrast = make_contrast(
        run, stages, timed, pareto, evidence, params.analysis, rows_fingerprint(cdf)
    )
    summary = summarise(contrast, params.analysis.decision_level)
    with written_together() as results:
        results.record(stages, out / "e1_stage_latency.json")
        results.record(contrast, out / "m1_workload_contrast.json")
        results.record(summary, out / "summary.json")
        write_plots(contrast, cdf, results, plots)
    say(*contrast.answers.model_dump().values())


def write_plots(contrast: WorkloadContrast, cdf: list[Row], results: Results, folder: Path) -> None:
    """Write what `dvc plots` draws."""
    results.plot_rows(stage_rows(contrast), folder / "stage_breakdown.json")
    results.plot_rows(cdf, folder / "latency_cdf.json")
    results.plot_rows(sensitivity_rows(contrast), folder / "knob_sensitivity.json")
    results.plot_rows(decode_split_rows(contrast), folder / "decode_split.json")
    results.plot_rows(coupling_rows(contrast), folder / "knob_coupling.json")


if __name__ == "__main__":
    run_command(main)
