"""One run at a time on a device."""

import os
import signal
import subprocess
import sys
import threading

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
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
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


def test_a_second_run_waits_says_for_whom_and_goes_on(capsys) -> None:
    with device_lock(CPU):
        thread, got = second(CPU)
        assert not got.wait(0.3)
    thread.join(5)
    assert got.is_set()
    waiting, going_on = capsys.readouterr().err.splitlines()
    told = f"waiting for cpu: another run has it (process {os.getpid()}, since 2"
    assert waiting.startswith(told)
    assert going_on == "cpu is free: going on"


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


def test_without_a_place_for_locks_it_says_what_to_do(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written .*set TMPDIR"), device_lock(CPU):
        pass
