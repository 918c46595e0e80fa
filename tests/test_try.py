"""`make try`: its sizes fit params.yaml, are all smaller, and decide no finding."""

import shutil
import subprocess
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from import_graph import ROOT

from m1.params import Params, load_params

SIZES = [line for line in (ROOT / "try.txt").read_text().splitlines() if line[:1] not in ("#", "")]


def value_at(key: str, raw: Any) -> Any:
    return reduce(lambda inside, name: inside[name], key.split("."), raw)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """params.yaml as DVC changes it with the sizes."""
    path = tmp_path_factory.mktemp("tried") / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    apply_overrides(path, SIZES)
    return path


@pytest.fixture(scope="module")
def params(tried: Path) -> Params:
    return load_params(tried)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_changes_something(size: str, tried: Path) -> None:
    key, value = size.split("=")
    before = value_at(key, yaml.safe_load((ROOT / "params.yaml").read_text()))
    after = value_at(key, yaml.safe_load(tried.read_text()))
    assert after == yaml.safe_load(value)
    assert after != before
    assert not isinstance(after, int | float) or after < before


def test_nothing_is_decided_on_them(params: Params) -> None:
    assert params.profile.n_trials < params.analysis.min_clusters
    assert max(params.profile.e1_requests.by_workload().values()) < params.validity.min_e1
    assert max(params.profile.e2_requests.by_workload().values()) < params.validity.min_e2


def test_each_experiment_has_the_requests_it_asks_for(params: Params) -> None:
    of_profile, prepared = params.profile, params.data
    for workload, most in (("qa", prepared.qa), ("captioning", prepared.captioning)):
        for wanted in (of_profile.e1_requests, of_profile.e2_requests, params.quality.n_requests):
            assert wanted.by_workload()[workload] <= most.n_requests


def test_make_gives_all_sizes_to_a_new_experiment_before_the_users_own() -> None:
    # `-o` keeps the environment from being made.
    words = ["make", "-n", "-o", ".venv/.installed", "try", "EXP=mine", "ARGS=-S 'a.b=[1,2]'"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    (command,) = [line for line in done.stdout.splitlines() if "exp run" in line]
    given = " ".join(f"-S '{size}'" for size in SIZES)
    assert f"exp run --temp --name mine {given} -S 'a.b=[1,2]'" in command
