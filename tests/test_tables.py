"""DVC's tables of experiments, in a terminal of 80 columns."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from import_graph import ROOT

from m1.analysis.contrast.summary import summarise
from m1.files import read_record, write_record
from m1.schemas.results import Summary, WorkloadContrast

COLUMNS = 80
LONGEST_WORD = 12
METRIC = "metrics/summary.json"
VALID = ROOT / "metrics/h200/llava-1.5-7b-compiled/summary.json"
INVALID = ROOT / "metrics/h200/qwen3-vl-30b-a3b-eager/summary.json"
PERSON = ("-c", "user.name=test", "-c", "user.email=test@example.com")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "metrics").rglob("summary.json")), ids=lambda path: path.parent.name
)
def test_the_committed_summaries_are_of_their_contrasts_in_short_words(path: Path) -> None:
    contrast = read_record(WorkloadContrast, path.with_name("m1_workload_contrast.json"))
    assert contrast.made_from is not None
    summary = summarise(contrast, float(contrast.made_from.analysis["decision_level"]))
    assert read_record(Summary, path) == summary
    words = [leaf for leaf in leaves(summary.model_dump()) if isinstance(leaf, str)]
    assert all(len(word) <= LONGEST_WORD and " " not in word for word in words), words


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    else:
        yield value


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid run, and an experiment without quality that has a name as long as DVC's."""
    folder = tmp_path_factory.mktemp("experiments")
    files = {name: ROOT / name for name in (".dvc/config", ".dvc/.gitignore", "params.yaml")}
    for name, path in (files | {METRIC: VALID}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, folder / name)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"metrics": [METRIC]}))
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", *PERSON, "commit", "--quiet", "--message", "reference run")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["knobs"]["vision_tokens"] = [576, 144]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    # The longest verdict of all, so that the widest table is seen.
    spoiled = read_record(Summary, INVALID).model_copy(update={"valid": "ratio"})
    write_record(spoiled, folder / METRIC)
    dvc(folder, "exp", "save", "--name", "trial-tods")
    return folder


def dvc(folder: Path, *words: str) -> str:
    done = forked.run(forked.Program("dvc", words, folder, environment()))
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    return os.environ | {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a"}


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def experiments_command() -> list[str]:
    """The DVC command of `make experiments`."""
    said = run(ROOT, "make", "--no-print-directory", "--dry-run", "experiments")
    (command,) = re.findall(r"bin/dvc (exp show .*)", said)
    return shlex.split(command)


def test_the_table_of_experiments_fits(experiments: Path) -> None:
    printed = dvc(experiments, *experiments_command()).splitlines()
    lines = [line.rstrip() for line in printed if not line.startswith(" ──")]
    assert all(len(line) <= COLUMNS for line in lines), "\n".join(lines)
    header, *rows = (re.split(r"\s{2,}", line.strip()) for line in lines)
    assert header == ["Experiment", "valid", "qa_ms", "captioning_ms", "knobs.vision_tokens"]
    valid, invalid = (read_record(Summary, path) for path in (VALID, INVALID))
    assert rows[1][1:3] == ["yes", f"{valid.qa_ms:g}"]
    assert "[trial-tods]" in rows[2][0]
    assert rows[2][1:3] == ["ratio", f"{invalid.qa_ms:g}"]


def test_the_sizes_of_a_quick_run_are_not_in_the_table() -> None:
    command = experiments_command()
    dropped = re.compile(command[command.index("--drop") + 1])
    lines = [line for line in (ROOT / "try.txt").read_text().splitlines() if "=" in line]
    keys = [line.split("=")[0] for line in lines if not line.startswith("#")]
    assert [key for key in keys if not dropped.match(key)] == ["knobs.design"]
    assert not dropped.match("knobs.top_k")


def test_the_difference_of_metrics_fits(experiments: Path) -> None:
    (command,) = re.findall(r"dvc (metrics diff --\S+)", (ROOT / "README.md").read_text())
    lines = dvc(experiments, *command.split(), "HEAD", "trial-tods").splitlines()
    assert len(lines) > len(Summary.model_fields)
    assert all(len(line) <= COLUMNS for line in lines), "\n".join(lines)
