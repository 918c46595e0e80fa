"""A wrong path for each path that a stage takes: one line at once, and no endless wait."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import typer
import yaml
from import_graph import ROOT
from simulated import World, simulate_project
from test_analysis_stages import pareto_options
from test_workloads_prepare import make_data
from typer.testing import CliRunner, Result

from m1.cli import app
from m1.errors import in_one_line
from m1.files import write_record
from m1.prepared import read_requests
from m1.schemas.base import MOST_TOLD
from m1.schemas.requests import WORKLOADS, RequestSet
from m1.workloads.prepare import prepare
from stages import answers, contrast, figures, pareto, profiling, report
from stages import prepare as preparing

WORLD = World(
    vision_tokens=(144,), top_k=(4, 2), active_blocks=(8,), e2_requests=6, answered_requests=8,
    e1_requests=8, n_images=8, n_trials=4,
)  # fmt: skip
MAINS = {
    "answers": answers.main,
    "contrast": contrast.main,
    "figures": figures.main,
    "pareto": pareto.main,
    "prepare": preparing.main,
    "profiling": profiling.main,
    "report": report.main,
}
WHOLE = {
    "prepare": {"--workload": "qa", "--out": "data/prepared", "--sample": "sample.json"},
    "profiling": {
        "--requests": "prepared", "--journal": ".m1/profile", "--out": "data/measured",
    },
    "answers": {"--requests": "prepared", "--kept": ".m1/answers", "--out": "data/written"},
    "pareto": pareto_options("qa") | {"--profile": "data/profile", "--answers": "data/answers"},
    "contrast": {
        "--rows": "data/profile/rows.parquet", "--run": "data/profile/run.json",
        "--scores": "data/scores", "--frontiers": "metrics", "--out": "metrics",
        "--plots": "plots/data",
    },
    "figures": {
        "--contrast": "metrics/m1_workload_contrast.json",
        "--cdf": "plots/data/latency_cdf.json", "--out": "figures",
    },
    "report": {
        "--contrast": "metrics/m1_workload_contrast.json",
        "--cdf": "plots/data/latency_cdf.json", "--templates": str(ROOT / ".dvc/plots"),
        "--out": "report.html",
    },
}  # fmt: skip
# Where files are read from, and whether the option names a file or a folder.
READ_FILES = [
    *((stage, "--params") for stage in MAINS if stage != "figures"),
    ("pareto", "--requests"), ("contrast", "--rows"), ("contrast", "--run"),
    ("figures", "--contrast"), ("figures", "--cdf"), ("report", "--contrast"), ("report", "--cdf"),
]  # fmt: skip
WRITTEN_FILES = [
    ("prepare", "--sample"), ("pareto", "--scores"), ("pareto", "--out"),
]  # fmt: skip
FOLDERS = [
    ("prepare", "--out"), ("profiling", "--requests"), ("profiling", "--out"),
    ("answers", "--requests"), ("answers", "--out"), ("pareto", "--profile"),
    ("pareto", "--answers"), ("contrast", "--scores"), ("contrast", "--frontiers"),
    ("contrast", "--out"), ("contrast", "--plots"), ("figures", "--out"),
]  # fmt: skip
LONG = "x" * 5000
LONG_WAY = "/".join(["x" * 200] * 30)


def invoke(stage: str, options: dict[str, str]) -> Result:
    command = typer.Typer()
    command.command()(in_one_line(MAINS[stage]))
    words = [word for option in options.items() for word in option]
    return CliRunner().invoke(command, words)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """A folder in which every stage would succeed."""
    folder = tmp_path_factory.mktemp("odd")
    simulate_project(folder, WORLD)
    for workload in WORKLOADS:
        prepare(workload, make_data(), folder / "prepared" / workload)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["model"]["source"] = str(ROOT / params["model"]["source"])
    params["data"]["scenes"]["n_images"] = params["data"]["qa"]["n_requests"] = 4
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    os.mkfifo(folder / "pipe")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage, workload in (("pareto", "qa"), ("pareto", "captioning"), ("contrast", "")):
            options = WHOLE[stage] | (pareto_options(workload) if workload else {})
            done = invoke(stage, options)
            assert done.exit_code == 0, done.output
        yield folder


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """End a test that opens a pipe and waits forever."""

    def over(_: int, __: FrameType | None) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(stage: str, option: str, value: str) -> str:
    options = WHOLE[stage] | ({} if stage == "figures" else {"--params": "params.yaml"})
    done = invoke(stage, options | {option: value})
    told: list[str] = done.stderr.splitlines()
    assert done.exit_code == 1, (done.output, done.exception)
    # A file of many lines may be wrong in each.
    assert 1 <= len(told) <= MOST_TOLD + 1
    assert all(line.startswith("error: ") and len(line) < 700 for line in told)
    return told[0]


@pytest.mark.parametrize("value", ["pipe", "/dev/zero", ".", LONG, LONG_WAY, "none/at/all", "~no"])
@pytest.mark.parametrize(("stage", "option"), READ_FILES)
def test_an_input_that_is_no_file(project, stage, option, value) -> None:
    told = refused(stage, option, value)
    assert "cannot be read" in told
    assert value[:200] in told


def test_two_results_in_one_file(project) -> None:
    told = refused("pareto", "--out", "data/scores/qa.parquet")
    assert "data/scores/qa.parquet: cannot be written (taken by another result" in told


@pytest.mark.parametrize(
    "value", ["data", "prepared/qa", LONG, LONG_WAY, "params.yaml/below", "", "pipe"]
)
@pytest.mark.parametrize(("stage", "option"), WRITTEN_FILES)
def test_an_output_that_cannot_be_written(project, stage, option, value) -> None:
    assert value[:200] in refused(stage, option, value)
    assert Path("pipe").is_fifo()
    assert (project / "prepared/qa/requests.json").exists()


def test_two_results_at_one_place(project) -> None:
    for sample in ("data/prepared", "data/prepared/sample.json"):
        assert "taken by another result" in refused("prepare", "--sample", sample)


@pytest.mark.parametrize("value", ["pipe", "params.yaml", LONG, LONG_WAY])
@pytest.mark.parametrize(("stage", "option"), FOLDERS)
def test_a_path_that_is_no_folder(project, stage, option, value) -> None:
    assert value[:200] in refused(stage, option, value)


@pytest.mark.parametrize("value", ["pipe", "params.yaml", LONG, "a\0b", "~no", "/dev/zero"])
@pytest.mark.parametrize("source", ["jsonl", "vqa-v2", "model"])
def test_a_path_in_the_parameters_that_leads_nowhere(project, source, value, tmp_path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    if source == "model":
        params["model"]["source"] = value
    else:
        params["data"]["qa"] |= {"source": source, "root": value}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    stage = "answers" if source == "model" else "prepare"
    refused(stage, "--params", str(path))


@pytest.mark.parametrize("value", ["pipe", ".", LONG, "~no/params.yaml"])
@pytest.mark.parametrize("command", [["show", "--contrast"], ["fetch", "vqa-v2", "--params"]])
def test_a_file_that_the_m1_command_cannot_read(project, command, value) -> None:
    done = CliRunner().invoke(app, [*command, value])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1
    assert "cannot be read" in done.output


def test_a_request_set_without_requests(project) -> None:
    text = '{"workload": "qa", "source": "x", "fingerprint": "x", "requests": [], "corpus": {}}'
    for folder in ("empty/qa", "empty/captioning"):
        Path(folder).mkdir(parents=True)
        Path(folder, "requests.json").write_text(text, encoding="utf-8")
    for stage in ("profiling", "answers"):
        assert "empty/qa/requests.json: requests = []" in refused(stage, "--requests", "empty")
    assert "requests = []" in refused("pareto", "--requests", "empty/qa/requests.json")


@pytest.mark.parametrize("image", ["../../params.yaml", "/etc/passwd", "link.png", "pipe.png"])
def test_an_image_outside_of_its_request_set(project, image, tmp_path) -> None:
    for workload in WORKLOADS:
        prepare(workload, make_data(), tmp_path / workload)
    folder = tmp_path / "qa"
    (folder / "link.png").symlink_to(ROOT / "plots" / "figures" / "m1_pareto_comparison.png")
    os.mkfifo(folder / "pipe.png")
    before = read_requests(folder / "requests.json")
    first, *others = before.requests
    led_astray = first.model_copy(update={"image": image})
    after = RequestSet.of(
        before.workload, before.source, (led_astray, *others), before.image_digests, before.corpus
    )
    write_record(after, folder / "requests.json")
    expected = "pipe, socket or device" if image == "pipe.png" else "leads out of the folder"
    for stage in ("profiling", "answers"):
        assert expected in refused(stage, "--requests", str(tmp_path))
