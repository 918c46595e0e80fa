"""How long it takes to start: the command line, and a pipeline with nothing to do."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import yaml

from benchmarks.bench import Bench
from benchmarks.ratios import interleaved, median_estimate
from benchmarks.row import Aim, Row
from m1.errors import UserError
from m1.schemas.results.estimates import Estimate

GROUP = "6. Start"
HELP_AIM, REPRO_AIM = Aim(5.0), Aim(2.0)
N_STARTS = 20
PROJECT = Path(__file__).parent.parent
DVC = (sys.executable, "-m", "dvc")
HELP = (sys.executable, "-c", "from m1.cli import app; app()", "--help")
TYPER = (sys.executable, "-c", "import typer")
ONE_STAGE = "stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n"
HELP_LIMIT = "`rich` draws the table of commands. Each command imports only what it needs."
REPRO_LIMIT = "DVC itself. The rest is a check of every dependency of every stage."


def rows(bench: Bench) -> list[Row]:
    """The start of the command line and of a pipeline with nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        whole, empty = Path(folder) / "whole", Path(folder) / "empty"
        copy_with_results(whole)
        pipeline_of_one_stage(empty)
        helped = ratio(bench, lambda: run(HELP, PROJECT), lambda: run(TYPER, PROJECT))
        nothing = ratio(bench, lambda: no_op(whole), lambda: no_op(empty))
    compared = "time of `dvc repro` with nothing to do: this project / a pipeline of one stage"
    return [
        Row(GROUP, "time of `m1 --help` / time of `import typer`", helped, HELP_AIM, HELP_LIMIT),
        Row(GROUP, compared, nothing, REPRO_AIM, REPRO_LIMIT),
    ]


def ratio(bench: Bench, ours: Callable[[], float], other: Callable[[], float]) -> Estimate:
    """Median ratio of the seconds that two ways take, measured in turn."""
    ways = {"ours": lambda _: ours(), "other": lambda _: other()}
    seconds = interleaved(ways, bench.n(N_STARTS), bench.rng)
    return median_estimate(seconds["ours"] / seconds["other"], bench.rng)


def copy_with_results(folder: Path) -> None:
    """Copy the project so that DVC finds every result recorded.

    Empty files take the places of missing results, because their content is not read.
    """
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=PROJECT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    recorded = yaml.safe_load((folder / "dvc.lock").read_text())["stages"].values()
    for out in (out["path"] for stage in recorded for out in stage["outs"]):
        if not (folder / out).exists():
            _stand_in(PROJECT / out, folder / out)
    run(("git", "init", "--quiet"), folder)
    run((*DVC, "commit", "--force", "--quiet", "dvc.yaml"), folder)


def _stand_in(result: Path, copy: Path) -> None:
    """Copy a result that this checkout has as a folder; otherwise write an empty file instead."""
    if result.is_dir():
        shutil.copytree(result, copy)
        return
    place = copy if copy.suffix else copy / "stand_in"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")


def pipeline_of_one_stage(folder: Path) -> None:
    """Make a project of one stage, and run the stage."""
    folder.mkdir()
    (folder / "dvc.yaml").write_text(ONE_STAGE)
    run(("git", "init", "--quiet"), folder)
    run((*DVC, "init", "--quiet"), folder)
    run((*DVC, "repro", "--quiet"), folder)


def no_op(project: Path) -> float:
    """Seconds that `dvc repro` takes with nothing to do.

    Raises:
        UserError: if a stage ran.
    """
    started = perf_counter()
    told = _told((*DVC, "repro"), project)
    elapsed = perf_counter() - started
    if "are up to date" not in told:
        raise UserError(f"{project}: `dvc repro` had something to do, so its time does not count")
    return elapsed


def run(command: Sequence[str], folder: Path) -> float:
    """Seconds that a command takes."""
    started = perf_counter()
    _told(command, folder)
    return perf_counter() - started


def _told(command: Sequence[str], folder: Path) -> str:
    """The text that a command prints.

    Raises:
        UserError: if it failed.
    """
    quiet = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed in {folder}: {done.stderr.strip()[-300:]}")
    return done.stdout
