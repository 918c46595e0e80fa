"""Check parameters against data and model before anything runs, and write the plan."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.files import written_together
from m1.params import load_params
from m1.plain_text import say


def main(
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    out: Annotated[Path, typer.Option(help="Folder for plan.json and requests.json.")] = Path(
        "data/plan"
    ),
) -> None:
    """List all mistakes at once, or say what will be measured."""
    params = load_params(params_file)
    # Importing torch takes seconds, so mistakes in parameters are reported first.
    from m1.planning.check import Asked, check
    from m1.planning.told import lines_about

    asked = Asked(
        params.data,
        params.model,
        params.knobs,
        params.profile,
        params.quality,
        params.validity,
        params.analysis.confidence,
        params.analysis.min_clusters,
    )
    checked = check(asked, earlier=out / "requests.json")
    checked.problems.refuse()
    with written_together() as results:
        if checked.record and checked.plan:
            results.record(checked.record, out / "requests.json")
            results.record(checked.plan, out / "plan.json")
    say(*lines_about(checked))


if __name__ == "__main__":
    run_command(main)
