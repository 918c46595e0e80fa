"""Provenance names commit, device and fingerprints as they are."""

import subprocess
from pathlib import Path

import torch
from simulated import simulate_run

from m1.profiling.provenance import device_name, git_commit
from m1.schemas.profile import Quantisation


def git(folder: Path, *arguments: str) -> None:
    user = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null")
    subprocess.run(("git", *user, *arguments), cwd=folder, check=True, capture_output=True)


def test_changed_code_is_told_but_not_changed_results(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert git_commit() is None
    (tmp_path / "m1").mkdir()
    for name in ("m1/code.py", "params.yaml", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "First")
    commit = git_commit()
    assert commit is not None
    assert len(commit) == 12
    (tmp_path / "dvc.lock").write_text("2")
    assert git_commit() == commit
    (tmp_path / "m1" / "code.py").write_text("2")
    assert git_commit() == f"{commit}+changes"


def test_the_device_has_a_name() -> None:
    assert device_name(torch.device("cpu"))


def test_the_title_says_what_makes_a_model_another_than_was_published() -> None:
    seen = simulate_run().provenance
    assert seen.model_title == "data/models/simulated"
    changes = {"text_config": {"num_hidden_layers": 4}}
    for bits, told in ((8, "fp8, 8 bits"), (None, "fp8")):
        other = {"quantisation": Quantisation(method="fp8", bits=bits), "model_changes": changes}
        title = seen.model_copy(update=other).model_title
        assert title == f"data/models/simulated ({told}, text_config.num_hidden_layers = 4)"
