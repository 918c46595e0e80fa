"""Answer the requests of both workloads over the knob grid, in batches, for their quality."""

from pathlib import Path
from typing import Annotated

import typer

from m1.answering.run import Answering, How, why_no_answers
from m1.errors import run_command
from m1.files import check_writable, written_together
from m1.kept import shared_folder
from m1.params import load_params
from m1.plain_text import say
from m1.prepared import read_requests_and_images
from m1.schemas.answers import AnswersRun
from m1.schemas.requests import WORKLOADS
from m1.vlm.calibration import calibrated
from m1.vlm.device_lock import device_lock
from m1.vlm.loading import find_device, load_vlm
from m1.vlm.prompt_checks import check_prompts


def main(
    requests: Annotated[Path, typer.Option(help="Folder with both request sets.")] = Path(
        "data/requests"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    kept: Annotated[Path, typer.Option(help="Folder of answers made before.")] = Path(
        ".m1/answers"
    ),
    out: Annotated[Path, typer.Option(help="Folder for answers.parquet and run.json.")] = Path(
        "data/answers"
    ),
) -> None:
    """Answer every cell, or say why outputs would be no answers."""
    params = load_params(params_file)
    reason = why_no_answers(params.model.weights, params.profile.decode_mode)
    if reason:
        with written_together() as results:
            results.nothing(out / "answers.parquet")
            results.record(AnswersRun(made=None, not_available=reason), out / "run.json")
        say(f"no answers: {reason}")
        return
    folders = {w: requests / w for w in WORKLOADS}
    sets = {w: read_requests_and_images(folder) for w, folder in folders.items()}
    how = How(params.model, params.knobs, params.quality, params.profile.max_new_tokens)
    check_writable(out)
    # Never beside a run that is timed.
    with device_lock(find_device(params.model.device)):
        loaded = load_vlm(params.model)
        check_prompts(loaded.prompts, sets)
        vlm = calibrated(loaded, params.knobs, sets, folders)
        answers, made = Answering(vlm, sets, folders, how, shared_folder(kept, Path.cwd())).run()
    with written_together() as results:
        results.rows(answers, out / "answers.parquet")
        results.record(AnswersRun(made=made, not_available=None), out / "run.json")
    say(f"{len(answers)} answers; {made.n_cells_reused} cells were answered before")
    if loaded.markup.told:
        say(loaded.markup.told)


if __name__ == "__main__":
    run_command(main)
