"""The trials of a run are measured by several processes, one after the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from whole_run import ROOT, SMALL, command, merged, prepare, tiny_model, write_params

from m1.errors import UserError
from m1.files import read_record, read_rows
from m1.profiling.processes import MORE_LEFT, run_until_complete
from m1.schemas.profile import MeasuredRequest, ProfileRun

N_PROCESSES, N_TRIALS = 3, 6


def options(folder: Path) -> tuple[object, ...]:
    changes = merged(SMALL, tiny_model(folder))
    sizes = {"n_processes": N_PROCESSES, "n_trials": N_TRIALS}
    params = write_params(folder, merged(changes, {"profile": sizes}))
    prepare(folder, params)
    places = ("--requests", folder / "requests", "--journal", folder / "journal")
    return ("--params", params, *places, "--out", folder / "out")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("processes")
    done = command("profiling", *options(folder))
    assert done.returncode == 0, done.stderr
    return folder, done


def test_each_process_measures_its_share_of_trials_in_their_order(whole) -> None:
    folder, _ = whole
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet").sort_values("order")
    pairs = rows[["process", "trial"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(pairs) == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)]


def test_each_process_says_which_it_is_and_is_warmed_up(whole) -> None:
    _, done = whole
    for process in range(N_PROCESSES):
        assert f"process {process + 1} of {N_PROCESSES}" in done.stderr
    assert done.stderr.count("warmed up:") == N_PROCESSES
    assert "resuming" not in done.stderr


def test_a_run_of_several_processes_was_not_interrupted(whole) -> None:
    folder, _ = whole
    run = read_record(ProfileRun, folder / "out" / "run.json")
    assert run.n_processes == N_PROCESSES
    assert run.provenance.resumed_at == ()
    assert run.interruptions == ()
    assert not any((folder / "journal").iterdir())


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_that_measures_and_the_next_run_resumes(
    tmp_path, signal_sent
) -> None:
    given = [str(option) for option in options(tmp_path)]
    stage = [sys.executable, "-m", "stages.profiling", *given]
    with subprocess.Popen(stage, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr
        said = ""
        while "process 2 of 3" not in said:
            said += run.stderr.readline()
        run.send_signal(signal_sent)
        said += run.stderr.read()
    assert run.returncode == 128 + signal_sent
    assert said.count("`dvc repro` resumes") == 1
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "run.json").exists()

    again = command("profiling", *given)
    assert again.returncode == 0, again.stderr
    assert "process 1 of 3" not in again.stderr
    assert "process 3 of 3" in again.stderr
    rows = read_rows(MeasuredRequest, tmp_path / "out" / "rows.parquet")
    assert sorted(rows["process"].unique()) == [0, 1, 2]
    assert not rows["order"].duplicated().any()


def test_a_process_that_the_system_ends_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match="was ended by SIGKILL"):
        run_until_complete([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])


def test_a_command_runs_until_it_has_nothing_left(tmp_path) -> None:
    log = tmp_path / "log"
    code = (
        f"log = open({str(log)!r}, 'a+')\n"
        "log.write('x')\n"
        f"raise SystemExit({MORE_LEFT} * (log.tell() < 3))"
    )
    run_until_complete([sys.executable, "-c", code])
    assert log.read_text() == "xxx"


def test_a_command_that_fails_ends_with_its_status() -> None:
    with pytest.raises(SystemExit) as ended:
        run_until_complete([sys.executable, "-c", "raise SystemExit(3)"])
    assert ended.value.code == 3


def test_ctrl_z_stops_the_process_that_measures_too(tmp_path) -> None:
    beats = tmp_path / "beats"
    child = (
        "import time\n"
        "for _ in range(100):\n"
        f"    open({str(beats)!r}, 'a').write('x')\n"
        "    time.sleep(0.05)\n"
    )
    parent = (
        "import sys\nfrom m1.profiling.processes import run_until_complete\n"
        f"run_until_complete([sys.executable, '-c', {child!r}])\n"
    )
    run = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, process_group=0)
    wait_for(lambda: beats.exists() and len(beats.read_text()) > 2)
    run.send_signal(signal.SIGTSTP)
    os.waitpid(run.pid, os.WUNTRACED)
    time.sleep(0.2)
    before = beats.read_text()
    time.sleep(0.3)
    assert beats.read_text() == before
    run.send_signal(signal.SIGCONT)
    wait_for(lambda: len(beats.read_text()) > len(before))
    assert run.wait() == 0


def wait_for(true) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never became true")
