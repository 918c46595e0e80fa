"""Links and paths in documents lead to something that exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_graph import ROOT

DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")],
    key=lambda path: path.name,
)
# Paths of the project in code marks: a folder that is known, and no placeholder in them.
IN_MARKS = re.compile(r"`((?:m1|stages|tests|docs|benchmarks|metrics|plots|\.dvc/plots)/[\w./-]*)`")


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "method.md", "data.md"])
def test_paths_that_a_document_names_exist(name: str) -> None:
    (document,) = (path for path in DOCUMENTS if path.name == name)
    named = IN_MARKS.findall(prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_log_has_each_entry_in_its_index() -> None:
    text = (ROOT / "docs/log.md").read_text(encoding="utf-8")
    index = text.partition("## Index by topic")[2].partition("\n## ")[0]
    entries = {name for name in anchors(ROOT / "docs/log.md") if name[:2] == "20"}
    assert entries - set(re.findall(r"\(#([^)]+)\)", index)) == set()
