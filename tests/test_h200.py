"""The committed results of the H200 runs are those that the code computes from their rows."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from import_graph import ROOT

# Invalid, a mixture of experts, and the fewest rows.
RUN = "qwen3-vl-30b-a3b-eager"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON value, each with its path."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{name}/{key}")
    else:
        yield name, value


def values(folder: Path, run: str) -> dict[str, Any]:
    """All values in the JSON files of a run."""
    kinds = (folder / "metrics/h200" / run, folder / "plots/h200" / run / "data")
    files = [path for kind in kinds for path in kind.glob("*.json")]
    pairs = (leaves(json.loads(path.read_text()), path.name) for path in files)
    return {name: value for one in pairs for name, value in one}


def test_the_rows_in_git_give_the_results_in_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    runpy.run_path("data/runs/h200/analyse.py")["main"]([RUN], tmp_path)
    made, committed = values(tmp_path, RUN), values(ROOT, RUN)
    assert len(made) > 1000
    # On the same machine the files are equal to the byte; others add in other orders.
    assert made == pytest.approx(committed)
    drawn, shown = (f / "plots/h200" / RUN / "figures" for f in (tmp_path, ROOT))
    assert {path.name for path in drawn.iterdir()} == {path.name for path in shown.iterdir()}
