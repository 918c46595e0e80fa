"""A whole small run on the embedded model, through the command line."""

import io
import subprocess
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console
from test_profiling_schedule import FREE, REQUESTS, WORLD, params
from whole_run import ROOT, SMALL, command, merged, prepare, write_params

from m1.errors import UserError
from m1.files import read_record, read_rows
from m1.params import load_params
from m1.profiling.progress import ProfileProgress
from m1.profiling.run import Profiler
from m1.profiling.schedule import plan
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.vlm.loading.load import load_vlm

WHOLE_OUTPUTS = {"profile": {"max_new_tokens": {"qa": 10, "captioning": 40}}}


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    params_file = write_params(folder, merged(SMALL, WHOLE_OUTPUTS))
    prepare(folder, params_file)
    paths = ("--requests", folder / "requests", "--journal", folder / "journal")
    options = ("--params", params_file, *paths, "--out", folder / "out")
    return folder, command("profiling", *options)


def test_the_run_succeeds_and_tells_its_progress(measured) -> None:
    _, done = measured
    assert done.returncode == 0, done.stderr
    assert "56 requests measured" in done.stdout
    assert "trial 2 of 2 done [14/14 cells" in done.stderr


def test_every_cell_was_measured_as_asked(measured) -> None:
    folder, _ = measured
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet")
    assert len(rows) == 56
    e2 = rows[rows.experiment == "e2"]
    sizes = e2.groupby(["workload", "vision_tokens", "active_blocks"]).size().to_dict()
    grid = list(product((144, 16), (8, 4)))
    expected = {("qa", *cell): 4 for cell in grid} | {("captioning", *cell): 2 for cell in grid}
    assert sizes == expected
    anchors = rows[rows.experiment == "anchor"]
    assert anchors[["vision_tokens", "top_k", "active_blocks"]].isna().all(axis=None)
    native = ["observed_vision_tokens", "observed_top_k", "observed_active_blocks"]
    assert set(anchors[native].itertuples(index=False, name=None)) == {(144, 4, 8)}
    marked = rows[rows.marked & (rows.experiment != "anchor")]
    assert (marked.vision_tokens == marked.observed_vision_tokens).all()
    assert (marked.top_k == marked.observed_top_k).all()
    assert (marked.active_blocks == marked.observed_active_blocks).all()


def test_opening_the_image_is_timed_in_every_row(measured) -> None:
    folder, _ = measured
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet")
    assert (rows.open_image_ms > 0).all()
    assert (rows.open_image_ms < rows.preprocess_ms).all()


def test_stages_close_on_every_request_but_for_interruptions(measured) -> None:
    folder, _ = measured
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet")
    marked = rows[rows.marked]
    stages = marked[["vision_ms", "projector_ms", "prefill_ms", "decode_ms"]]
    assert (stages >= 0).all(axis=None)
    residual = 1 - stages.sum(axis=1) / marked.total_ms
    assert residual.median() < 0.01


def test_both_decode_modes_are_measured_in_one_run(measured, tmp_path) -> None:
    folder, _ = measured
    few = {"qa": 2, "captioning": 1}
    profile = dict.fromkeys(("e1_requests", "e2_requests", "observer_requests"), few)
    changes = {"profile": {**profile, "decode_mode": "both"}}
    params_file = write_params(tmp_path, merged(merged(SMALL, WHOLE_OUTPUTS), changes))
    paths = ("--requests", folder / "requests", "--journal", tmp_path / "journal")
    options = ("--params", params_file, *paths, "--out", tmp_path)
    done = command("profiling", *options)
    assert done.returncode == 0, done.stderr
    assert "e2 qa 16/4/4 at reference length: 2 requests" in done.stderr
    assert read_record(ProfileRun, tmp_path / "run.json").decode_mode == "both"
    rows = read_rows(MeasuredRequest, tmp_path / "rows.parquet")
    e2 = rows[rows.experiment == "e2"]
    assert e2.decode_mode.value_counts().to_dict() == {"free": 12, "reference_length": 12}
    lengths = e2[e2.decode_mode == "reference_length"].groupby("request_id").n_output_tokens
    assert (lengths.nunique() == 1).all()  # the same at every setting
    ends = e2.groupby("decode_mode").finish_reason.unique().map(list).to_dict()
    assert ends == {"free": ["stop"], "reference_length": ["length"]}
    assert set(rows[rows.experiment == "observer"].decode_mode) == {"free"}


def test_captioning_writes_more_than_question_answering(measured) -> None:
    folder, _ = measured
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet")
    tokens = rows[rows.experiment == "e1"].groupby("workload").n_output_tokens.mean()
    assert tokens["captioning"] > 5 * tokens["qa"]


def test_the_record_says_what_was_measured_on_what(measured) -> None:
    folder, _ = measured
    run = read_record(ProfileRun, folder / "out" / "run.json")
    assert run.reference.label == "144/4/8"
    assert [s.label for s in run.grid] == ["144/4/8", "144/4/4", "16/4/8", "16/4/4"]
    assert run.provenance.model_class == "LlavaForConditionalGeneration"
    assert run.provenance.dtype == "float32"
    assert len(run.provenance.model_fingerprint) == 64
    assert set(run.provenance.data_fingerprints) == {"qa", "captioning"}
    assert {"torch", "transformers"} <= set(run.provenance.versions)
    assert run.validity.verdict == "invalid"
    assert any(
        "requests of a workload in E1: 6, fewer than 59" in reason
        for reason in run.validity.reasons
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"knobs": {"active_blocks": 12}}, "knobs.active_blocks = 12: the model has 8 blocks"),
        ({"model": {"source": "data/models/nowhere"}}, "model.source = data/models/nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_keeps_earlier_results(measured, tmp_path, changes, told) -> None:
    folder, _ = measured
    before = (folder / "out" / "run.json").read_bytes()
    params_file = write_params(tmp_path, merged(SMALL, changes))
    paths = ("--requests", folder / "requests", "--journal", folder / "journal")
    options = ("--params", params_file, *paths, "--out", folder / "out")
    done = command("profiling", *options)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert told in line
    assert "Traceback" not in done.stderr
    assert (folder / "out" / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("device", "told"),
    [("cuda:7", "this machine has 0 CUDA devices"), ("toaster", "allowed are auto, cpu, cuda")],
)
def test_a_device_that_is_not_there_is_refused(device, told, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    model = load_params(ROOT / "params.yaml").model.model_copy(update={"device": device})
    with pytest.raises(UserError, match=rf"model\.device = {device}: .*{told}"):
        load_vlm(model)


def test_a_model_spread_over_devices_is_refused_before_anything_is_measured() -> None:
    params = load_params(ROOT / "params.yaml")
    vlm = load_vlm(params.model)
    vlm.structure.vision_tower.to("meta")
    profiler = Profiler(vlm, {}, params.knobs.grid(), params.profile)
    with pytest.raises(UserError, match="the weights are on cpu, meta; a run measures one device"):
        profiler.check_and_reserve()


def test_missing_requests_are_told_in_one_line(tmp_path) -> None:
    done = command("profiling", "--requests", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "requests.json: cannot be read" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_terminal_shows_one_bar_with_cells_rate_and_time_left() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    rounds = plan(params(), WORLD.grid, REQUESTS, FREE)
    with ProfileProgress(rounds, console) as progress:
        progress.begin()
        for one in rounds:
            progress.round_done(one)
    assert "60/60 cells" in screen.getvalue()
    assert "requests/s, left" in screen.getvalue()
