"""Contrast the workloads and answer the four key questions."""

from pathlib import Path
from typing import Annotated

import typer

from m1.analysis.contrast.contrast import Parts, make_contrast
from m1.analysis.contrast.evidence import gather_evidence
from m1.analysis.contrast.summary import summarise
from m1.analysis.contrast.timed_results import make_timed_results
from m1.analysis.experiments import Experiments
from m1.analysis.inputs import ProfileFiles, read_frontiers
from m1.analysis.latency.stages import make_stage_result
from m1.analysis.milliseconds import Milliseconds
from m1.analysis.plots import chart_rows, judged, latency_rows
from m1.analysis.validity import counting_answers
from m1.errors import run_command
from m1.files import written_together
from m1.origin import rows_fingerprint
from m1.params import load_params
from m1.plain_text import say


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
    run = counting_answers(run, pareto, params.validity.min_answers)
    experiments = Experiments.of(run, rows, scores, params.analysis)
    milliseconds = Milliseconds.of(run.validity, experiments.course)
    stages = milliseconds.widened(
        make_stage_result(experiments.e1, run.reference, frontiers.made_from)
    )
    evidence = gather_evidence(experiments.e1, experiments.e2, params.analysis)
    timed = milliseconds.widened(make_timed_results(experiments, run))
    cdf = judged(latency_rows(experiments.e1.rows), run.validity)
    parts = Parts(stages, timed, pareto, evidence)
    contrast = make_contrast(run, parts, params.analysis, rows_fingerprint(cdf))
    drawn = {workload: result.frontier for workload, result in pareto.items()}
    summary = summarise(contrast, params.analysis.decision_level)
    with written_together() as results:
        results.record(stages, out / "e1_stage_latency.json")
        results.record(contrast, out / "m1_workload_contrast.json")
        results.record(summary, out / "summary.json")
        results.plot_rows(cdf, plots / "latency_cdf.json")
        for name, chart in chart_rows(contrast, drawn).items():
            results.plot_rows(judged(chart, contrast.validity), plots / f"{name}.json")
    say(*contrast.answers.model_dump().values())


if __name__ == "__main__":
    run_command(main)
