"""Provenance names commit, device and fingerprints as they are."""

import subprocess
from pathlib import Path

import torch

from m1.profiling.provenance import device_name, git_commit


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
