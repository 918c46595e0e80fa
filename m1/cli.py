"""The `m1` command: fetch datasets, check parameters, look at results and their layout.

Each command imports what it needs when it runs, so that `m1 --help` answers at once.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from m1.errors import in_one_line
from m1.stopping import end_stopped
from m1.workloads.fetchable import Dataset

app = typer.Typer(
    help="How prefill-heavy and decode-heavy vision-language work differ. `m1 fetch` gets a real "
    "dataset, `m1 check` says what is wrong before anything runs, `dvc repro` measures, `m1 show` "
    "prints what came out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


def print_version(asked: bool) -> None:
    """Print the version and exit, if that was asked for."""
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
    """Common options of all commands. The help text is that of the app."""


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
    fetched again. Stop it at any time: the same command resumes.

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


REVISION = typer.Option("--rev", help="An experiment or revision, in the place of the workspace.")


@app.command(name="check")
@in_one_line
def check_params(
    params_path: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a parameter, as in model.device=cuda; repeatable."),
    ] = None,
) -> None:
    """List all mistakes in parameters, data and model, or say what will be measured."""
    from m1.planning.command import check_and_tell

    if not check_and_tell(params_path, changes or ()):
        raise typer.Exit(1)


@app.command()
@in_one_line
def show(
    contrast: Annotated[Path, typer.Option(help="Result file to read.")] = Path(
        "metrics/m1_workload_contrast.json"
    ),
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Print the last run's answers and findings, and tables of its numbers."""
    from m1.files import read_record
    from m1.schemas.results import WorkloadContrast
    from m1.show.result import show_result
    from m1.show.revision import project_at
    from m1.terminal import Terminal

    with project_at(revision, [contrast]) as folder:
        show_result(read_record(WorkloadContrast, folder / contrast), Terminal())


@app.command()
@in_one_line
def findings(
    contrast: Annotated[Path, typer.Option(help="Result file to read.")] = Path(
        "metrics/m1_workload_contrast.json"
    ),
    document: Annotated[
        Path | None,
        typer.Option("--into", help="Replace the table between the marks in this document."),
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Print the findings as a Markdown table, or bring the table in a document up to date."""
    from m1.files import read_record
    from m1.plain_text import say
    from m1.schemas.results import WorkloadContrast
    from m1.show.findings_markdown import findings_markdown, write_into
    from m1.show.revision import project_at

    with project_at(revision, [contrast]) as folder:
        table = findings_markdown(read_record(WorkloadContrast, folder / contrast))
    if document is None:
        say(table)
    else:
        write_into(document, table)


@app.command()
@in_one_line
def answers(
    workload: Annotated[
        Literal["qa", "captioning"] | None, typer.Option(help="Of one workload, not of both.")
    ] = None,
    setting: Annotated[
        str | None, typer.Option(help="Such as 144/4/8, or all; without it the reference.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=0, help="Requests of a workload; 0 for all.")] = 20,
    best: Annotated[bool, typer.Option("--best", help="Best first, not worst.")] = False,
    request: Annotated[
        str | None, typer.Option(help="Id of one request, to see it at all settings.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the pictures to this file.")
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Print what the model wrote and how it was scored, the worst first.

    The score is that of one output: VQA accuracy (0 to 1), or CIDEr-D (0 to 10) with document
    frequencies of the whole corpus. Several settings are ordered by their mean.
    """
    from m1.schemas.requests import WORKLOADS
    from m1.show.answers import show_answers
    from m1.show.chosen import Wanted

    workloads = (workload,) if workload else WORKLOADS
    show_answers(workloads, Wanted(setting, request, n, best), html, revision)


@app.command()
@in_one_line
def report(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where the page goes; without it a file in data/report.", show_default=False
        ),
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Write the last run as one HTML page: open it in a browser, no network is needed.

    It holds the answers, the findings, the figures as charts that tell their numbers, tables, the
    checks, and how to repeat the run. `dvc repro` writes it, too.
    """
    from m1.report.write import TEMPLATES, RunFiles, page_file, write_report
    from m1.show.revision import project_at

    files, page = RunFiles(), out or page_file(revision)
    with project_at(revision, files.all) as project:
        write_report(files.inside(project), TEMPLATES, page)
    print(page.absolute().as_uri())


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
