"""Scored outputs, either in the terminal with a block for each request, or on a page."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from m1.plain_text import say
from m1.schemas.requests import Workload
from m1.show.cards import Card, heading
from m1.show.chosen import Chosen, Wanted, choose
from m1.show.revision import project_at
from m1.show.scored import ScoredOutputs, files_of
from m1.terminal import Terminal


def show_answers(
    workloads: Sequence[Workload], wanted: Wanted, html: Path | None, revision: str | None
) -> None:
    """Print outputs, or write a page with their pictures.

    Raises:
        UserError: if they cannot be read, or the page cannot be written.
    """
    images = html is not None
    with project_at(revision, files_of(workloads, images=images)) as project:
        outputs = [ScoredOutputs.read(project, w, images=images) for w in workloads]
        chosen = choose(outputs, wanted)
        if html is None:
            _print_answers(chosen, Terminal())
        else:
            from m1.show.answers_page import write_answers_page

            say(write_answers_page(chosen, html))


def _print_answers(chosen: Sequence[Chosen], console: Terminal) -> None:
    """Print the outputs of each workload."""
    for n, one in enumerate(chosen):
        console.print("\n" * bool(n) + heading(one), style="bold")
        for answered in one.answered:
            console.print("", block(Card.of(answered)))


def block(card: Card) -> Table:
    """A request and its outputs. A label on the left explains each line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text, style in lines(card):
        table.add_row(Text(name, style="dim"), Text(text, style=style))
    return table


def lines(card: Card) -> Iterator[tuple[str, str, str]]:
    """The label, the text and the style of each line."""
    yield "request", card.request_id, "dim"
    yield "prompt", card.prompt, ""
    several = len(card.outputs) > 1
    for output in card.outputs:
        where = f" {output.setting}" if several else ""
        ends = " [cut at the longest output]" if output.cut else ""
        yield f"{output.quality}{where}", f"{output.text or '(nothing)'}{ends}", "bold"
        if output.scored_text is not None:
            yield "scored", output.scored_text or "(nothing)", ""
    bullet = "- " if len(card.references) > 1 else ""
    yield "references", "\n".join(f"{bullet}{text}" for text in card.references), "green"
