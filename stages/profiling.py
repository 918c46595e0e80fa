"""Measure both workloads: E1 at the reference setting, E2 over the knob grid."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.params import load_params
from m1.profiling.processes import MORE_LEFT, run_until_complete


def main(
    requests: Annotated[Path, typer.Option(help="Folder with both request sets.")] = Path(
        "data/requests"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    journal_folder: Annotated[
        Path, typer.Option("--journal", help="Folder of the journal of an unfinished run.")
    ] = Path(".m1/profile"),
    out: Annotated[Path, typer.Option(help="Folder for rows.parquet and run.json.")] = Path(
        "data/profile"
    ),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a parameter, as in model.device=cuda; repeatable."),
    ] = None,
    only_next: Annotated[
        bool, typer.Option("--only-next", help="Measure only what the next process measures.")
    ] = False,
) -> None:
    """Measure latency, stages and answers of every cell on this machine.

    With profile.n_processes above 1 it starts itself again for each of these processes.
    """
    params = load_params(params_file, changes or ())
    if params.profile.n_processes > 1 and not only_next:
        same = ("-m", "stages.profiling", *sys.argv[1:])
        run_until_complete([sys.executable, *same, "--only-next"])
        return
    # Importing torch takes seconds, so mistakes in parameters are reported first.
    from m1.profiling.whole import Places, profile

    places = Places(requests, journal_folder, out)
    if not profile(places, params.model, params.knobs, params.profile, params.validity):
        raise typer.Exit(MORE_LEFT)


if __name__ == "__main__":
    run_command(main)
