"""A whole result for the terminal: verdict, answers, tables."""

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from m1.plain_text import in_a_line, plain
from m1.schemas.profile import LEAST_COMPILATIONS, Provenance, Verdict
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
from m1.schemas.results.roofline import cells_at
from m1.show.device import coupling_table, decode_table, roofline_table
from m1.show.headline import headline_table
from m1.terminal import Terminal


def findings_table(result: WorkloadContrast) -> Table:
    """A table with a row for each expectation."""
    level = f"{result.confidence:.0%} interval"
    columns = ("Finding", "Verdict", "Effect", level, "Matters above")
    table = Table(*columns, title="Expected findings, tested")
    for one in result.findings:
        interval = f"{one.low:.3g} to {one.high:.3g}"
        smallest = f"{one.smallest_effect:.3g}"
        table.add_row(one.claim, one.verdict, f"{one.effect:.3g}", interval, smallest)
    for other in result.not_tested:
        table.add_row(other.claim, "not tested")
    return table


def why_not_tested(result: WorkloadContrast) -> list[str]:
    """The reasons why findings were not tested. Each is listed once, since most are the same."""
    return list(dict.fromkeys(other.reason for other in result.not_tested))


VERDICT_STYLES: Mapping[Verdict, str] = {
    "valid": "bold",
    "valid for ratios": "bold yellow",
    "invalid": "bold red",
}

RAW_PROMPTS = (
    "No chat template was found with the model, so it got the image and the prompt alone. If it "
    "was trained with one, its answers are worse than they could be: put the template into the "
    "model's folder."
)


def show_result(result: WorkloadContrast, console: Terminal) -> None:
    """Print the results of a run. The first line says whether it is valid."""
    console.print(_validity_line(result), style=VERDICT_STYLES[result.validity.verdict])
    _show_paragraph("Intervals.", what_intervals_hold(result), console)
    if told := _too_small(result):
        _show_paragraph("Too small for verdicts.", told, console)
    if prompts_are_raw(result.provenance):
        _show_paragraph("Raw prompts.", RAW_PROMPTS, console)
    for question, answer in result.answers.model_dump().items():
        _show_paragraph(f"{question.replace('_', ' ').capitalize()}.", answer, console)
    if result.quality_not_available:
        _show_paragraph("No quality.", result.quality_not_available, console)
    for cell in result.failed:
        _show_paragraph("Not measured:", cell.told, console)
    for table in tables(result):
        console.print("", table)
    for reason in why_not_tested(result):
        _show_paragraph("Not tested:", reason, console)


def what_intervals_hold(result: WorkloadContrast) -> str:
    """Which differences the intervals of a result include."""
    n = result.n_processes
    told = f"They hold what differs between trials, and between {n} processes."
    if n == 1:
        told = (
            "They are of one process: they hold what differs between its trials. Another process "
            "may differ by more (profile.n_processes)."
        )
    if result.provenance.few_compilations(n):
        told += (
            f" On a GPU a compiled model decides a finding only if it was compiled "
            f"{LEAST_COMPILATIONS} times, each in a process of its own."
        )
    return told


def _too_small(result: WorkloadContrast) -> str:
    """A sentence if a run has too few trials to decide anything; else an empty text."""
    least = result.made_from.analysis.get("min_clusters") if result.made_from else None
    n_trials = min(result.timed[w].n_clusters for w in WORKLOADS)
    if not isinstance(least, int) or n_trials >= least:
        return ""
    return (
        f"It has {n_trials} trials, and a finding takes {least} (analysis.min_clusters): this run "
        "is for looking around."
    )


def _show_paragraph(heading: str, text: str, console: Terminal) -> None:
    """Print a text after a blank line and a heading."""
    console.print()
    console.print(Text.assemble((heading, "bold"), " ", plain(text)))


def prompts_are_raw(provenance: Provenance) -> bool:
    """Whether outputs that are scored were written without a chat template."""
    return provenance.prompt_template == "none" and provenance.weights == "pretrained"


def tables(result: WorkloadContrast) -> Iterator[Table]:
    """All tables with content. The findings come last, where they are seen first."""
    yield headline_table(result)
    yield decode_table(result)
    if result.frontiers:
        yield coupling_table(result.frontiers)
    if cells := cells_at(result.reference, result.roofline):
        yield roofline_table(cells, result.device_rates)
    yield findings_table(result)


def _validity_line(result: WorkloadContrast) -> str:
    """The verdict, model and device of the run, and the reasons."""
    provenance = result.provenance
    title = in_a_line(provenance.model_title)
    machine = f"{provenance.device}, {provenance.dtype}"
    where = f"{title} on {machine}, {provenance.started_at}{resumed(provenance)}"
    told = result.validity.reasons or (result.validity.tally,)
    return f"{result.validity.verdict.upper()} run: {where}" + "".join(f"\n  - {t}" for t in told)


def resumed(provenance: Provenance) -> str:
    """When an interrupted run resumed."""
    return f", resumed {', '.join(provenance.resumed_at)}" if provenance.resumed_at else ""
