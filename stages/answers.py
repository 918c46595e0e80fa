"""Answer the requests of both workloads over the knob grid, in batches, for their quality."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.files import written_together
from m1.params import load_params, why_no_answers
from m1.plain_text import say
from m1.schemas.answers import AnswersRun


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
    # Importing torch takes seconds, so mistakes in parameters are reported first.
    from m1.answering.run import How
    from m1.answering.whole import answer_requests

    how = How(params.model, params.knobs, params.quality, params.profile.max_new_tokens)
    answer_requests(requests, kept, out, how)


if __name__ == "__main__":
    run_command(main)
