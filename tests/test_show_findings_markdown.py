"""The findings as a table of a document: what `m1 findings` prints and writes."""

import subprocess
from pathlib import Path

import pytest
from contrast_example import contrast
from import_graph import ROOT
from typer.testing import CliRunner

from m1.cli import app
from m1.errors import UserError
from m1.schemas.results import Finding
from m1.schemas.results.findings import NotTested
from m1.show.findings_markdown import BEGIN, END, findings_markdown, write_into

RUN = CliRunner()
FASTER = Finding(
    id="faster",
    claim="A is faster | safer than B.",
    measure="latency saved, percentage points",
    effect=4.071,
    low=2.25,
    high=5.949,
    smallest_effect=2.0,
    verdict="supported",
)
NOT_TESTED = NotTested(id="better", claim="A is better.", reason="There is no quality.")


def committed(name: str) -> str:
    """A file of the last commit: results in the workspace may be those of another run."""
    words = ("git", "-c", f"safe.directory={ROOT}", "show", f"HEAD:{name}")
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the commits of a clone")
def test_the_table_in_the_readme_is_that_of_the_committed_run(tmp_path: Path) -> None:
    contrast_file = tmp_path / "contrast.json"
    contrast_file.write_text(committed("metrics/m1_workload_contrast.json"))
    printed = RUN.invoke(app, ["findings", "--contrast", str(contrast_file)]).output
    _, _, rest = committed("README.md").partition(BEGIN)
    table, end, _ = rest.partition(END)
    assert end
    assert table.strip() == printed.strip(), "run `m1 findings --into README.md`"


def test_each_expectation_has_a_row() -> None:
    plain_number = FASTER.model_copy(update={"measure": "quality lost", "verdict": "refuted"})
    result = contrast(findings=(FASTER, plain_number), not_tested=(NOT_TESTED,))
    assert findings_markdown(result).splitlines()[2:] == [
        r"| A is faster \| safer than B. | supported | 4.07 points (2.25 to 5.95) |",
        r"| A is faster \| safer than B. | refuted | 4.07 (2.25 to 5.95) |",
        "| A is better. | not tested | There is no quality. |",
    ]


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for table in ("| new |", "| newer |"):
        write_into(document, table)
        assert document.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_document_without_both_marks_once_stays_as_it_is(text: str, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(text)
    with pytest.raises(UserError, match=r"page\.md: no place for the findings"):
        write_into(document, "| new |")
    assert document.read_text() == text
