"""The `m1` command: fetch datasets, check parameters, show results and their layout.

A command imports its modules only when it runs, so that `m1 --help` answers at once.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from m1.errors import in_one_line
from m1.stopping import end_stopped
from m1.workloads.fetchable import FetchableDataset

app = typer.Typer(
    help="How prefill-heavy and decode-heavy vision-language work differ. `m1 fetch` gets a real "
    "dataset. `m1 check` reports mistakes before anything runs. `dvc repro` measures. `m1 show` "
    "prints the results.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


def print_version(asked: bool) -> None:
    """Print the version and end, if the user asked for it."""
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
    """Do nothing before a command. The help shows the text of the app, not this one."""


@app.command(name="fetch")
@in_one_line
def fetch_dataset(
    dataset: Annotated[FetchableDataset, typer.Argument(help="The dataset to fetch.")],
    params_path: Annotated[
        Path, typer.Option("--params", help="Parameters: number of requests, source and folder.")
    ] = Path("params.yaml"),
) -> None:
    """Fetch VQA v2 or the COCO captions: the annotations, then only the images of the sample.

    The sample is the same that `dvc repro` will draw. It follows from data.seed and from
    n_requests in the dataset's section of params.yaml (data.qa for vqa-v2, data.captioning for
    coco-captions). The command writes a manifest to `root` of that section: every file with its
    SHA-256, small enough for git. The files go to the folder beside it. Files that are already
    there are checked and not fetched again. You can stop it at any time: the same command resumes.

    Then measure on it:

        dvc exp run -S data.qa.source=vqa-v2 -S data.captioning.source=coco-captions
    """
    from m1.params import load_params
    from m1.workloads.fetch import FetchProgress, fetch

    params = load_params(params_path)
    try:
        fetch(dataset, params.data, params.fetch, FetchProgress())
    except KeyboardInterrupt:
        end_stopped("the same command resumes")


REVISION = typer.Option("--rev", help="An experiment or revision, instead of the workspace.")


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
    """Report all mistakes in parameters, data and model, and what a run would measure."""
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
        typer.Option("--into", help="Document in which the table between the marks is replaced."),
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Print the findings as a Markdown table, or update the table in a document."""
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
        Literal["qa", "captioning"] | None, typer.Option(help="Only one workload, not both.")
    ] = None,
    setting: Annotated[
        str | None, typer.Option(help="Such as 144/4/8, or all. Default: the reference.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=0, help="Requests of a workload; 0: all.")] = 20,
    best: Annotated[bool, typer.Option("--best", help="Best first, not worst first.")] = False,
    request: Annotated[
        str | None, typer.Option(help="Id of one request, to see it at all settings.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the pictures to this file.")
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Print the model's outputs and their scores, the worst first.

    The score is that of one output: VQA accuracy (0 to 1), or CIDEr-D (0 to 10) with document
    frequencies of the whole corpus. With several settings, requests are ordered by their mean
    score.
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
        typer.Option(help="File of the page. Default: a file in data/report.", show_default=False),
    ] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Write the last run as one HTML page. Open it in a browser; no network is needed.

    It contains the answers, the findings, charts that show their numbers, tables, the checks, and
    how to repeat the run. `dvc repro` writes it, too.
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
        str | None,
        typer.Argument(help="Only one file: summary, contrast, pareto, profile-run, ..."),
    ] = None,
) -> None:
    """Print the JSON Schema of one result file, or an object with the schemas of all of them."""
    from m1.show.result_files import RESULT_FILES, layout_of

    if name is not None:
        print(json.dumps(layout_of(name).model_json_schema(), indent=2))
        return
    schemas = {path: record.model_json_schema() for path, record in RESULT_FILES.items()}
    print(json.dumps(schemas, indent=2))
