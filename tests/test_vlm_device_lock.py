"""One run at a time on a device."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from import_graph import ROOT

from m1.errors import UserError
from m1.vlm import device_lock as module
from m1.vlm.device_lock import device_lock

CPU = torch.device("cpu")
HOLDS = """
import time, torch
from m1.vlm.device_lock import device_lock
with device_lock(torch.device("cpu")):
    print("has it", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("M1_LOCKS", str(tmp_path))
    monkeypatch.setattr(module, "POLL_S", 0.02)


def second(device: torch.device) -> tuple[threading.Thread, threading.Event]:
    """Another run that wants a device, and whether it got it."""
    got = threading.Event()

    def run() -> None:
        with device_lock(device):
            got.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, got


def test_a_second_run_waits_names_the_first_and_then_runs(capsys) -> None:
    with device_lock(CPU):
        thread, got = second(CPU)
        assert not got.wait(0.3)
    thread.join(5)
    assert got.is_set()
    waiting, going_on = capsys.readouterr().err.splitlines()
    told = f"waiting for cpu: another run has it (process {os.getpid()}, since 2"
    assert waiting.startswith(told)
    assert going_on == "cpu is free: continuing"


def test_runs_on_other_devices_do_not_wait(capsys) -> None:
    with device_lock(CPU), device_lock(torch.device("cuda:0")), device_lock(torch.device("cuda:1")):
        assert capsys.readouterr().err == ""


def test_a_run_that_is_killed_holds_nothing(capsys) -> None:
    words = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "has it\n"
        thread, got = second(CPU)
        assert not got.wait(0.3)
        holder.send_signal(signal.SIGKILL)
    thread.join(5)
    assert got.is_set()
    assert f"process {holder.pid}" in capsys.readouterr().err


def test_the_lock_is_free_after_an_error() -> None:
    with pytest.raises(ValueError, match="oops"), device_lock(CPU):
        raise ValueError("oops")
    with device_lock(CPU):
        pass


@pytest.mark.parametrize(
    ("shown", "name", "same_as"),
    [("", "cuda:1", "cuda-1"), ("2,3", "cuda", "cuda-2"), ("GPU-5, GPU-7", "cuda:1", "cuda-GPU-7")],
)
def test_a_gpu_has_the_name_it_has_outside(monkeypatch, shown, name, same_as) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert module.outside_name(torch.device(name)) == same_as


def places(monkeypatch, *folders: Path) -> None:
    """A machine where nobody has named a place for locks."""
    monkeypatch.delenv("M1_LOCKS")
    monkeypatch.setattr(module, "PLACES", folders)


def test_runs_with_other_folders_for_temporary_files_have_one_lock(tmp_path, monkeypatch) -> None:
    places(monkeypatch, tmp_path / "a")
    with device_lock(CPU):
        monkeypatch.setenv("TMPDIR", str(tmp_path / "b"))
        monkeypatch.setattr("tempfile.tempdir", None)
        thread, got = second(CPU)
        assert not got.wait(0.1)
    thread.join(5)
    assert got.is_set()


@pytest.mark.parametrize("of_another", ["owned", "link", "file"])
def test_files_of_another_user_block_nobody(tmp_path, monkeypatch, of_another) -> None:
    first, second_place = tmp_path / "a", tmp_path / "b"
    name = f"m1-locks-{os.getuid()}"
    second_place.mkdir()
    (first / name).parent.mkdir()
    if of_another == "owned":
        (first / name).mkdir()
        uid = os.getuid()
        monkeypatch.setattr(Path, "stat", owned_by(uid + 1, first / name))
    elif of_another == "link":
        (first / name).symlink_to(second_place)
    else:
        (first / name).touch()
    places(monkeypatch, first, second_place)
    with device_lock(CPU):
        assert (second_place / name / "cpu.lock").exists()


def owned_by(uid: int, place: Path) -> Callable[[Path], os.stat_result]:
    stat = Path.stat

    def told(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        return os.stat_result((*found[:4], uid, *found[5:])) if path == place else found

    return told


def test_without_a_place_for_locks_it_says_what_to_do(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("M1_LOCKS", str(tmp_path / "file"))
    told = r"no lock can be kept there \(Not a directory\); set M1_LOCKS to"
    with pytest.raises(UserError, match=told), device_lock(CPU):
        pass
