"""Signals, closed outputs and odd paths end a command with one line, at any time."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
import torch

from m1.errors import UserError, in_one_line
from m1.profiling.ctrl_c import CtrlC
from m1.stopping import signals_raise

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("answers", "contrast", "evaluate_scene_vlm", "figures", "pareto", "prepare", "profiling")
COMMANDS = [*(f"stages.{name}" for name in STAGES), "stages.train_scene_vlm", "m1"]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
TOLD = {
    number: f"stopped by {name}; no result is half written\n"
    for number, name in zip(STATUS, ("Ctrl-C", "SIGTERM", "SIGHUP"), strict=True)
}


def started(module: str, *options: str) -> subprocess.Popen[str]:
    """A command that has set its handler of SIGTERM: from then on only this handler may end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not hears_sigterm(process.pid):
        assert process.poll() is None
        assert time.monotonic() < deadline
    return process


def hears_sigterm(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (caught,) = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(("module", "number"), list(zip(COMMANDS, cycle(STATUS), strict=False)))
def test_a_signal_while_a_command_still_imports_is_one_line(module, number) -> None:
    process = started(module, "--help")
    process.send_signal(number)
    output, told = process.communicate(timeout=30)
    assert (process.returncode, output, told) == (STATUS[number], "", TOLD[number])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("after_s", [0.1, 0.3, 1.0])
def test_the_moment_does_not_matter(after_s) -> None:
    process = started("stages.profiling", "--requests", "/dev/null/none")
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert len(told.splitlines()) == 1
    # On a fast machine the command has ended by itself.
    if process.returncode != 1:
        assert told == TOLD[signal.SIGINT]
        # Python ends itself by the signal where that came while `exec` ran a text, as dataclasses
        # have it do; shells make the same status of both.
        assert process.returncode in (STATUS[signal.SIGINT], -signal.SIGINT)


def test_a_signal_that_a_shell_has_ignored_stays_so() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from m1.stopping import "
    code += "begin; begin(); signal.raise_signal(signal.SIGINT); print('going on')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (run.returncode, run.stdout) == (0, "going on\n")


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_during_work_lets_files_be_cleaned_up(number, capsys) -> None:
    put_away = []

    def command() -> None:
        try:
            signal.raise_signal(number)
        finally:
            put_away.append(True)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == STATUS[number]
    assert put_away == [True]
    assert capsys.readouterr().err == TOLD[number]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_a_library_turns_into_an_error_is_one_line(capsys) -> None:
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as stop:
            try:
                raise ModuleNotFoundError("could not import module") from stop
            except ModuleNotFoundError:
                raise RuntimeError("are its requirements defined correctly?")  # noqa: B904

    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == STATUS[signal.SIGINT]
    assert capsys.readouterr().err == TOLD[signal.SIGINT]


def test_nothing_is_left_of_the_handlers() -> None:
    before = [signal.getsignal(number) for number in STATUS]
    with signals_raise():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in STATUS] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_that_a_library_turns_into_another_error_still_stops(number, capsys) -> None:
    """C++ code that calls Python does this. `in_one_line` would raise it as our own mistake."""

    def command() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise RuntimeError("KeyboardInterrupt: <EMPTY MESSAGE>") from None

    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == STATUS[number]
    assert capsys.readouterr().err == TOLD[number]


def test_a_signal_that_a_library_hides_stops_before_the_next_request() -> None:
    with CtrlC() as ctrl_c, signals_raise():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), ctrl_c.one_request():
            pytest.fail("a request has begun")


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_is_sent_again_if_its_error_could_not_be_raised(number, capsys) -> None:
    """Python drops an error that is raised while an object, such as a model, is deleted."""

    class Model:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def command() -> None:
        Model()
        time.sleep(10)

    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == STATUS[number]
    assert capsys.readouterr().err == TOLD[number]


# Short sleeps: Python would sleep to the end if a signal came just before a sleep begins.
GOES_ON = """
import sys, time
from m1.errors import in_one_line
from m1.progress import CellProgress

def command():
    with CellProgress("a", 1, 1):
        print("at work", flush=True)
        for _ in range(600):
            time.sleep(0.1)

in_one_line(command)()
"""


def test_a_terminal_that_is_closed_ends_a_command_with_its_status() -> None:
    """Then nothing can be printed, neither the line nor the rest of the bar."""
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", GOES_ON], cwd=ROOT, stdout=inside, stderr=inside
    )
    os.close(inside)
    seen = b""
    while b"at work" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 129


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_run_that_measures_finishes_its_request_by_either_signal(number, capfd) -> None:
    done = []

    def command() -> None:
        with CtrlC() as ctrl_c, ctrl_c.one_request():
            signal.raise_signal(number)
            done.append("the request")

    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == STATUS[number]
    assert done == ["the request"]
    assert "what was measured is kept" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("a: wrong"), "error: a: wrong\n"),
        (OSError(36, "", "x" * 5000), f"error: {'x' * 297}...: File name too long\n"),
        (PermissionError(13, "", "a\nb"), "error: a b: Permission denied\n"),
        (MemoryError(), "error: out of memory; ask for less at once, or use a larger machine\n"),
    ],
    ids=["user", "long name", "permission", "memory"],
)
def test_the_error_that_ends_a_command_is_one_line(error, expected, capsys) -> None:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        in_one_line(command)()
    assert left.value.code == 1
    assert capsys.readouterr().err == expected


def test_too_little_memory_for_torch_is_one_line(capsys) -> None:
    """While a model loads or a batch is answered, nothing else catches this error."""

    def on_cpu() -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    def on_gpu() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GiB.")

    for command in (on_cpu, on_gpu):
        with pytest.raises(SystemExit) as left:
            in_one_line(command)()
        assert left.value.code == 1
        assert capsys.readouterr().err.startswith("error: out of memory; ")


@pytest.mark.parametrize("mistake", [ZeroDivisionError, RuntimeError, NotImplementedError])
def test_our_own_mistakes_are_not_hidden(mistake) -> None:
    def command() -> None:
        raise mistake

    with pytest.raises(mistake):
        in_one_line(command)()


def test_little_is_imported_before_signals_are_handled() -> None:
    code = "import sys, m1.stopping; print('pathlib' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert run.stdout == "False\n", run.stderr


def shell(line: str) -> subprocess.CompletedProcess[str]:
    script = f"set -o pipefail; {line}"
    environment = os.environ | {"PYTHON": sys.executable}
    # Without a buffer nothing is left to be written at the end, where it would fail again.
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("command", ["show", "schema"])
def test_a_reader_that_has_seen_enough_is_no_error(command) -> None:
    run = shell(f'"$PYTHON" -m m1 {command} | head -n 1')
    assert len(run.stdout.splitlines()) == 1
    assert run.stderr == ""


def test_nothing_is_written_to_a_reader_that_is_gone() -> None:
    code = "import time; from m1.errors import in_one_line; time.sleep(1); "
    code += "in_one_line(lambda: print('a'))()"
    run = shell(f'"$PYTHON" -c "{code}" | true')
    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.parametrize(
    ("outputs", "status", "told"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("> /dev/full", 1, "error: standard output: No space left on device\n"),
    ],
)
@pytest.mark.parametrize("command", ["show", "schema"])
def test_outputs_that_are_closed_or_full(command, outputs, status, told) -> None:
    run = shell(f'"$PYTHON" -m m1 {command} {outputs}')
    assert (run.returncode, run.stderr) == (status, told)
