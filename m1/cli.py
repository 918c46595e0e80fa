"""The `m1` command: fetch datasets, look at results, and at what the result files hold."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m1.errors import UserError
from m1.files import read_record
from m1.params import load_params
from m1.schemas.answers import Answer, AnswersRun
from m1.schemas.base import Record
from m1.schemas.datasets import FetchManifest
from m1.schemas.profile import STAGES, MeasuredRequest, ProfileRun, Provenance
from m1.schemas.requests import WORKLOADS, RequestSet, Sample
from m1.schemas.results import (
    Estimate,
    ParetoResult,
    ScoredAnswer,
    StageResult,
    Summary,
    WorkloadContrast,
)
from m1.workloads.fetch import Dataset, fetch
from m1.workloads.fetch_progress import FetchProgress

RESULT_FILES: dict[str, type[Record]] = {
    "data/raw/<dataset>.json": FetchManifest,
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

app = typer.Typer(
    help="How prefill-heavy and decode-heavy vision-language work differ. `m1 fetch` gets a real "
    "dataset, `dvc repro` measures, `m1 show` prints what came out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


@app.command(name="fetch")
def fetch_dataset(
    dataset: Annotated[Dataset, typer.Argument(help="Which dataset.")],
    params_path: Annotated[
        Path, typer.Option("--params", help="Says how many requests, from where, and to where.")
    ] = Path("params.yaml"),
) -> None:
    """Fetch VQA v2 or the COCO captions: the annotations, then only the images of the sample.

    The sample is the one that `dvc repro` will draw: it follows from data.seed and from
    n_requests in the dataset's section of params.yaml (data.qa for vqa-v2, data.captioning for
    coco-captions). `root` of that section is the manifest that is written, for git: every file
    with its SHA-256. The files go to the folder beside it; what is there is checked and not
    fetched again. Stop it at any time: the same command goes on.

    Then measure on it:

        dvc exp run -S data.qa.source=vqa-v2 -S data.captioning.source=coco-captions
    """
    try:
        params = load_params(params_path)
        fetch(dataset, params.data, params.fetch, FetchProgress())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def show(
    contrast: Annotated[Path, typer.Option(help="Result file to read.")] = Path(
        "metrics/m1_workload_contrast.json"
    ),
) -> None:
    """Print the answers, the headline table and the findings of the last run."""
    try:
        result = read_record(WorkloadContrast, contrast)
    except UserError as error:
        print(f"error: {error}; run `dvc repro` first")
        raise typer.Exit(1) from None
    console = Console()
    console.print(_validity_line(result), style="bold" if _is_valid(result) else "bold red")
    for question, answer in result.answers.model_dump().items():
        console.print(f"\n[bold]{question.replace('_', ' ').capitalize()}.[/bold] {answer}")
    if result.quality_not_available:
        console.print(f"\n[bold]No quality.[/bold] {result.quality_not_available}")
    for cell in result.failed:
        console.print(f"\n[bold]Not measured:[/bold] {escape(cell.told)}", highlight=False)
    console.print("", _headline_table(result), "", _findings_table(result))


@app.command()
def schema() -> None:
    """Print the JSON Schema of every result file, one object with a key for each."""
    schemas = {path: record.model_json_schema() for path, record in RESULT_FILES.items()}
    print(json.dumps(schemas, indent=2))


def _is_valid(result: WorkloadContrast) -> bool:
    return result.validity.verdict == "valid"


def _validity_line(result: WorkloadContrast) -> str:
    seen = result.provenance
    where = f"{seen.model_title} on {seen.device}, {seen.dtype}, {seen.started_at}{_resumed(seen)}"
    told = result.validity.reasons or (result.validity.tally,)
    return f"{result.validity.verdict.upper()} run: {where}" + "".join(f"\n  - {t}" for t in told)


def _resumed(seen: Provenance) -> str:
    return f", resumed {', '.join(seen.resumed_at)}" if seen.resumed_at else ""


def _headline_table(result: WorkloadContrast) -> Table:
    table = Table(title=f"At the reference setting {result.reference.label}")
    table.add_column("")
    for workload in WORKLOADS:
        table.add_column(f"{workload} (n = {result.latency[workload].n})", justify="right")
    for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms"):
        values = (getattr(result.latency[w], name) for w in WORKLOADS)
        table.add_row(name, *(_ms(value) for value in values))
    for row in _tail_rows(result):
        table.add_row(*row)
    for stage in STAGES:
        shares = (result.stage_breakdown[w][stage].share for w in WORKLOADS)
        table.add_row(f"{stage} share", *(_interval(share, ".1%") for share in shares))
    table.add_row("output tokens", *(_ms(result.mean_output_tokens[w]) for w in WORKLOADS))
    for row in _quality_rows(result):
        table.add_row(*row)
    return table


def _tail_rows(result: WorkloadContrast) -> list[tuple[str, ...]]:
    """What the percentiles are at the most, and whether requests or the machine make them."""
    latency = [result.latency[w] for w in WORKLOADS]
    tails = ("p95_ms", "p99_ms")
    bounds = ([one.upper_bound_ms.get(name) for name in tails] for one in latency)
    rows = [("p95, p99 at most", *(" / ".join(map(_bound, both)) for both in bounds))]
    if all(one.variation for one in latency):
        varied = [one.variation for one in latency if one.variation]
        causes = ([one.tail_cause.get(name, "not told") for name in tails] for one in varied)
        rows += [
            ("p95, p99 are made by", *(" / ".join(both) for both in causes)),
            ("spread at one request", *(f"{one.jitter:.1%}" for one in varied)),
            ("spread between requests", *(f"{one.between_requests:.1%}" for one in varied)),
        ]
    return rows


def _quality_rows(result: WorkloadContrast) -> list[tuple[str, ...]]:
    """What rests on quality, or why there is none."""
    best, cut, agreement = result.optimal_settings, result.cut_share, result.agreement
    if best is None or cut is None or agreement is None:
        return [("quality", *["not available"] * len(WORKLOADS))]
    same = (agreement[w].identical_share for w in WORKLOADS)
    return [
        *(
            (f"fastest at {one.level:.0%} quality", *(best[w][i].label for w in WORKLOADS))
            for i, one in enumerate(best["qa"])
        ),
        ("outputs cut at the longest", *(_interval(cut[w], ".1%") for w in WORKLOADS)),
        ("same text in batches", *(_interval(share, ".1%") for share in same)),
    ]


def _findings_table(result: WorkloadContrast) -> Table:
    level = f"{result.confidence:.0%} interval"
    columns = ("Finding", "Verdict", "Effect", level, "Matters above")
    table = Table(*columns, title="Expected findings, tested")
    for one in result.findings:
        interval = f"{one.low:.3g} to {one.high:.3g}"
        smallest = f"{one.smallest_effect:.3g}"
        table.add_row(one.claim, one.verdict, f"{one.effect:.3g}", interval, smallest)
    for other in result.not_tested:
        table.add_row(other.claim, "not tested", other.reason)
    return table


def _ms(estimate: Estimate | None) -> str:
    return "not available" if estimate is None else _interval(estimate, ".1f")


def _bound(ms: float | None) -> str:
    return "not available" if ms is None else f"{ms:.1f}"


def _interval(estimate: Estimate, form: str) -> str:
    value, low, high = (format(v, form) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"
