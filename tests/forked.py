"""Programs in processes of their own, without the seconds that imports take.

A server, started once, imports what the programs need. Each run is a fork of it, with folder,
environment and output of its own. Tests of imports, of signals and of the start of a program need
a new interpreter instead: `subprocess`.
"""

import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# What the stages and DVC import. The modules that are run as programs are not among them.
PRELOADED = (
    "m1.analysis.contrast.contrast", "m1.analysis.plots", "m1.answering.whole", "m1.figures.pareto",
    "m1.planning.check", "m1.profiling.whole", "m1.report.write", "m1.workloads.prepare",
    "m1.show", "dvc.cli.parser", "dvc.repo",
)  # fmt: skip
LIMIT_S = 600


@dataclass(frozen=True)
class Program:
    """A module that is run as `python -m` would run it."""

    module: str
    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    largest_file: int = resource.RLIM_INFINITY
    """Bytes beyond which no file that it writes may grow."""


def run(program: Program) -> subprocess.CompletedProcess[str]:
    """Run a program to its end: exit status (negative: ended by that signal) and output."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name, "stdout"), Path(name, "stderr")
        process = context.Process(target=become, args=(program, *outputs))
        process.start()
        process.join(LIMIT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{program} took more than {LIMIT_S} s")
        said = (path.read_text(encoding="utf-8") if path.exists() else "" for path in outputs)
        return subprocess.CompletedProcess(
            [program.module, *program.words], process.exitcode, *said
        )


def become(program: Program, stdout: Path, stderr: Path) -> None:
    """Turn this process into the program."""
    for number, path in ((1, stdout), (2, stderr)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    resource.setrlimit(resource.RLIMIT_FSIZE, (program.largest_file, program.largest_file))
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environment)
    sys.argv = [program.module, *program.words]
    sys.path.insert(0, str(program.folder))
    runpy.run_module(program.module, run_name="__main__", alter_sys=True)
