"""How `dvc exp run -S` changes parameters, by DVC's own code, which follows Hydra's rules."""

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import InvalidArgumentError
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps, to_hydra_overrides
from hydra.errors import OverrideParseException
from import_graph import ROOT

from m1.params import Params, load_params

PARAMS = "params.yaml"
DOCUMENTS = (
    "README.md",
    PARAMS,
    *sorted(guide.relative_to(ROOT).as_posix() for guide in ROOT.glob("docs/*.md")),
    "data/models/published/README.md",
    "m1/cli.py",
)


def overridden(overrides: Sequence[str], folder: Path) -> list[Params]:
    """The parameters of each experiment that `dvc exp run --queue -S ...` makes."""
    found = []
    for experiment in get_hydra_sweeps(to_path_overrides(overrides)):
        shutil.copy(ROOT / PARAMS, folder / PARAMS)
        apply_overrides(folder / PARAMS, experiment[PARAMS])
        found.append(load_params(folder / PARAMS))
    return found


def documented_commands(pattern: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of one kind in the documents, and its words."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")
        # A placeholder such as <yours> is for the reader to fill.
        text = re.sub(r"<(\w+)>", r"\1", text)
        for command in re.findall(pattern, text):
            yield f"{document}: {command}", shlex.split(command, comments=True)


COMMANDS = dict(documented_commands(r"dvc exp run [^`\n]*-S [^`\n]*"))
CHECKS = dict(documented_commands(r"m1 check [^`\n]*--set [^`\n]*=[^`\n]*"))


def test_documents_have_commands() -> None:
    assert {name.partition(":")[0] for name in COMMANDS} >= {
        "README.md", PARAMS, "docs/data.md", "docs/experiments.md", "docs/models.md",
    }  # fmt: skip
    assert any(name.startswith("README.md") for name in CHECKS)


@pytest.mark.parametrize("command", CHECKS)
def test_m1_takes_each_documented_check(command: str) -> None:
    words = CHECKS[command]
    changes = [value for flag, value in pairwise(words) if flag == "--set"]
    assert load_params(ROOT / PARAMS, changes) != load_params(ROOT / PARAMS)


@pytest.mark.parametrize("command", COMMANDS)
def test_dvc_takes_each_documented_command(command: str, tmp_path: Path) -> None:
    words = COMMANDS[command]
    overrides = [value for flag, value in pairwise(words) if flag == "-S"]
    # DVC refuses a sweep that is not queued, and queues nothing else more than once.
    assert (len(overridden(overrides, tmp_path)) > 1) == ("--queue" in words)
    swept = [one.is_sweep_override() for one in to_hydra_overrides(overrides)]
    assert any(swept) == ("--queue" in words)


PROMPT = "Describe the image in detail, in three to five sentences."


@pytest.mark.parametrize(
    ("override", "key", "values"),
    [
        (f'data.captioning.prompt="{PROMPT}"', "data.captioning.prompt", [PROMPT]),
        (f"data.captioning.prompt='{PROMPT}'", "data.captioning.prompt", [PROMPT]),
        (
            'data.qa.prompt="{question} Yes, or no?"',
            "data.qa.prompt",
            ["{question} Yes, or no?"],
        ),
        (
            'data.qa.prompt="{question} Let\'s say \\"yes\\" or \\"no\\"."',
            "data.qa.prompt",
            ['{question} Let\'s say "yes" or "no".'],
        ),
        ('data.captioning.prompt="Short, please.","In detail."', "data.captioning.prompt",
         ["Short, please.", "In detail."]),
        ("data.qa.prompt=null", "data.qa.prompt", [None]),
        ("knobs.top_k=[1,2]", "knobs.top_k", [(1, 2)]),
        ("knobs.top_k=[1],[2]", "knobs.top_k", [(1,), (2,)]),
        ("knobs.top_k=1,[4,2],null", "knobs.top_k", [(1,), (4, 2), (None,)]),
        ("profile.e1_requests.qa=60", "profile.e1_requests.qa", [60]),
        ("profile.e1_requests={qa: 60, captioning: 70}", "profile.e1_requests.captioning", [70]),
        (
            "+model.config.text_config.num_hidden_layers=12",
            "model.config",
            [{"text_config": {"num_hidden_layers": 12}}],
        ),
        (
            "+model.config={text_config: {num_hidden_layers: 12}}",
            "model.config",
            [{"text_config": {"num_hidden_layers": 12}}],
        ),
        ('model.source="/data/my models/a=b, (c)"', "model.source", ["/data/my models/a=b, (c)"]),
        ("model.source=llava-hf/llava-1.5-7b-hf", "model.source", ["llava-hf/llava-1.5-7b-hf"]),
    ],
)  # fmt: skip
def test_values_arrive_as_meant(override: str, key: str, values: list[Any], tmp_path: Path) -> None:
    found: list[Any] = overridden([override], tmp_path)
    for name in key.split("."):
        found = [getattr(one, name) for one in found]
    assert found == values


def test_a_bare_comma_makes_two_experiments(tmp_path: Path) -> None:
    made = overridden([f"data.captioning.prompt={PROMPT}"], tmp_path)
    assert " and ".join(str(one.data.captioning.prompt) for one in made) == (
        "Describe the image in detail and in three to five sentences."
    )


@pytest.mark.parametrize(
    "override",
    ["data.qa.prompt={question} Be brief.", "model.source=/data/a=b", "model.config.dtype=x"],
)
def test_bare_braces_and_equal_signs_and_new_keys_are_refused(
    override: str, tmp_path: Path
) -> None:
    with pytest.raises((OverrideParseException, InvalidArgumentError)):
        overridden([override], tmp_path)


@pytest.mark.parametrize(
    ("path", "override"),
    [
        (PARAMS, "analysis.n_resamples=500"),
        ("data/models/scene-vlm/params.yaml", "training.n_steps=500"),
        ("data/runs/h200/params.yaml", "analysis.n_resamples=500"),
    ],
)
def test_dvc_changes_no_line_but_that_of_the_parameter(
    path: str, override: str, tmp_path: Path
) -> None:
    before = (ROOT / path).read_text(encoding="utf-8")
    copy = tmp_path / PARAMS
    copy.write_text(before, encoding="utf-8")
    apply_overrides(copy, [override])
    after = copy.read_text(encoding="utf-8")
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    name, _, value = override.rpartition(".")[2].partition("=")
    (changed,) = [new for old, new in pairs if old != new]
    assert changed.split()[:2] == [f"{name}:", value]
