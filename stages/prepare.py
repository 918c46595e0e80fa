"""Prepare the requests of one workload and the images they use."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.params import load_params
from m1.plain_text import say
from m1.schemas.requests import Workload
from m1.workloads.prepare import prepare
from m1.workloads.scorable import notes_on_scores


def main(
    workload: Annotated[Workload, typer.Option(help="Whose requests.")],
    params_path: Annotated[Path, typer.Option("--params", help="params.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder that they are written to.")],
    sample: Annotated[
        Path | None, typer.Option(help="JSON file for their ids, small enough for git.")
    ] = None,
) -> None:
    """Write a workload's requests and their images. Earlier ones are replaced."""
    params = load_params(params_path)
    prepared = prepare(workload, params.data, out, sample)
    n_images = len({request.image_id for request in prepared.requests})
    size = prepared.resize_to
    made = ", made {} x {} pixels,".format(*size) if size else ""
    say(
        f"{workload}: {len(prepared.requests)} requests about {n_images} images{made} "
        f"from {prepared.source} in {out}"
    )
    say(*(f"{workload}: {note}" for note in notes_on_scores(prepared)))


if __name__ == "__main__":
    run_command(main)
