"""A whole result for the terminal: verdict, answers, tables."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m1.schemas.profile import Provenance
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
from m1.schemas.roofline import cells_at
from m1.show.coupling import coupling_table
from m1.show.decode import decode_table
from m1.show.findings import findings_table, why_not_tested
from m1.show.headline import headline_table
from m1.show.roofline import roofline_table

RAW_PROMPTS = (
    "No chat template was found with the model, so it got the image and the prompt alone. If it "
    "was trained with one, its answers are worse than they could be: put the template into the "
    "model's folder."
)


def show_result(result: WorkloadContrast, console: Console) -> None:
    """Print what came out of a run, and first whether it may be believed."""
    valid = result.validity.verdict == "valid"
    console.print(validity_line(result), style="bold" if valid else "bold red")
    if told := too_small(result):
        console.print(f"\n[bold]Too small for verdicts.[/bold] {told}", highlight=False)
    if prompts_are_raw(result.provenance):
        console.print(f"\n[bold]Raw prompts.[/bold] {RAW_PROMPTS}")
    for question, answer in result.answers.model_dump().items():
        console.print(f"\n[bold]{question.replace('_', ' ').capitalize()}.[/bold] {answer}")
    if result.quality_not_available:
        console.print(f"\n[bold]No quality.[/bold] {result.quality_not_available}")
    for cell in result.failed:
        console.print(f"\n[bold]Not measured:[/bold] {escape(cell.told)}", highlight=False)
    for table in tables(result):
        console.print("", table)
    for reason in why_not_tested(result):
        console.print(f"[bold]Not tested:[/bold] {escape(reason)}", highlight=False)


def too_small(result: WorkloadContrast) -> str:
    """Whether a run has too few trials to decide anything, in a sentence; else nothing."""
    least = result.made_from.analysis.get("min_clusters") if result.made_from else None
    n_trials = min(result.timed[w].n_clusters for w in WORKLOADS)
    if not isinstance(least, int) or n_trials >= least:
        return ""
    return (
        f"It has {n_trials} trials, and a finding takes {least} (analysis.min_clusters): this run "
        "is for looking around."
    )


def prompts_are_raw(seen: Provenance) -> bool:
    """Whether outputs that are scored were written without a chat template."""
    return seen.prompt_template == "none" and seen.weights == "pretrained"


def tables(result: WorkloadContrast) -> Iterator[Table]:
    """Every table that the result has something for; the findings come last, to be seen."""
    yield headline_table(result)
    yield decode_table(result)
    if result.frontiers:
        yield coupling_table(result.frontiers)
    if cells := cells_at(result.reference, result.roofline):
        yield roofline_table(cells, result.device_rates)
    yield findings_table(result)


def validity_line(result: WorkloadContrast) -> str:
    """Verdict, what was measured on what, and the reasons."""
    seen = result.provenance
    where = f"{seen.model_title} on {seen.device}, {seen.dtype}, {seen.started_at}{resumed(seen)}"
    told = result.validity.reasons or (result.validity.tally,)
    return f"{result.validity.verdict.upper()} run: {where}" + "".join(f"\n  - {t}" for t in told)


def resumed(seen: Provenance) -> str:
    """When an interrupted run went on."""
    return f", resumed {', '.join(seen.resumed_at)}" if seen.resumed_at else ""
