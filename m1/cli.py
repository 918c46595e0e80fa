"""The `m1` command: fetch datasets, look at results, and at what the result files hold.

Each command imports what it needs when it runs, so that `m1 --help` answers at once.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from m1.errors import UserError, in_one_line
from m1.stopping import end_stopped
from m1.workloads.fetchable import Dataset

app = typer.Typer(
    help="How prefill-heavy and decode-heavy vision-language work differ. `m1 fetch` gets a real "
    "dataset, `dvc repro` measures, `m1 show` prints what came out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


def print_version(asked: bool) -> None:
    """Print the version and end, where that was asked for."""
    if asked:
        from importlib.metadata import version

        print(f"m1 {version('m1-workload-contrast')}")
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=print_version, help="Print the version."),
    ] = False,
) -> None:
    """Nothing comes before a command; the text of the help is that of the app."""


@app.command(name="fetch")
@in_one_line
def fetch_dataset(
    dataset: Annotated[Dataset, typer.Argument(help="Which dataset.")],
    params_path: Annotated[
        Path, typer.Option("--params", help="Says how many requests, from where, and to where.")
    ] = Path("params.yaml"),
) -> None:
    """Fetch VQA v2 or the COCO captions: the annotations, then only the images of the sample.

    The sample is the one that `dvc repro` will draw: it follows from data.seed and from
    n_requests in the dataset's section of params.yaml (data.qa for vqa-v2, data.captioning for
    coco-captions). `root` of that section is the manifest that is written, for git: every file
    with its SHA-256. The files go to the folder beside it; what is there is checked and not
    fetched again. Stop it at any time: the same command goes on.

    Then measure on it:

        dvc exp run -S data.qa.source=vqa-v2 -S data.captioning.source=coco-captions
    """
    from m1.params import load_params
    from m1.workloads.fetch import fetch
    from m1.workloads.fetch_progress import FetchProgress

    params = load_params(params_path)
    try:
        fetch(dataset, params.data, params.fetch, FetchProgress())
    except KeyboardInterrupt:
        end_stopped("the same command resumes")


@app.command()
@in_one_line
def show(
    contrast: Annotated[Path, typer.Option(help="Result file to read.")] = Path(
        "metrics/m1_workload_contrast.json"
    ),
) -> None:
    """Print the last run's answers and findings, and tables of its numbers."""
    from m1.files import read_record
    from m1.schemas.results import WorkloadContrast
    from m1.show.result import show_result
    from m1.terminal import Terminal

    try:
        result = read_record(WorkloadContrast, contrast)
    except UserError as error:
        raise UserError(f"{error}; run `dvc repro` first") from None
    show_result(result, Terminal())


@app.command()
@in_one_line
def schema(
    name: Annotated[
        str | None, typer.Argument(help="Of one file: summary, contrast, pareto, profile-run, ...")
    ] = None,
) -> None:
    """Print the JSON Schema of every result file, one object with a key for each, or of one."""
    from m1.show.layouts import RESULT_FILES, layout_of

    if name is not None:
        print(json.dumps(layout_of(name).model_json_schema(), indent=2))
        return
    schemas = {path: record.model_json_schema() for path, record in RESULT_FILES.items()}
    print(json.dumps(schemas, indent=2))
