"""The findings as a Markdown table, and its place in a document."""

from collections.abc import Iterator
from pathlib import Path

from m1.errors import UserError
from m1.files import write_text
from m1.plain_text import in_a_line
from m1.reading import read_text, shown
from m1.schemas.results import Finding, WorkloadContrast

BEGIN = "<!-- findings: written by `m1 findings --into` -->"
END = "<!-- end of findings -->"


def findings_markdown(result: WorkloadContrast) -> str:
    """A table with a row for each expectation, tested or not."""
    return "\n".join(_lines(result))


def _lines(result: WorkloadContrast) -> Iterator[str]:
    yield f"| finding | verdict | effect, {result.confidence:.0%} interval |"
    yield "|---|---|---|"
    for one in result.findings:
        yield f"| {_cell(one.claim)} | {one.verdict} | {_effect(one)} |"
    for other in result.not_tested:
        yield f"| {_cell(other.claim)} | not tested | {_cell(other.reason)} |"


def _effect(one: Finding) -> str:
    unit = " points" if one.measure.endswith("percentage points") else ""
    return f"{one.effect:.3g}{unit} ({one.low:.3g} to {one.high:.3g})"


def _cell(text: str) -> str:
    return in_a_line(text).replace("|", r"\|")


def write_into(document: Path, table: str) -> None:
    """Replace the table between the marks of a document.

    Raises:
        UserError: if the document cannot be read or written, or does not have both marks once.
    """
    text = read_text(document)
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise UserError(
            f"{shown(document)}: no place for the findings; put these two lines, once each, where "
            f"the table belongs: {BEGIN} and {END}"
        )
    write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", document)
