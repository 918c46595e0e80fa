"""All mistakes are reported at once before anything runs, and so is what a run cannot show."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from families.common import photo, save
from families.registry import FAMILIES
from PIL import Image
from typer.testing import CliRunner
from whole_run import ROOT, merged, write_params

from m1.cli import app
from m1.errors import UserError
from m1.files import read_record
from m1.params import Params, load_params
from m1.planning.check import Asked, Checked, check
from m1.planning.foreseen import few_compilations
from m1.profiling.schedule import plan as schedule
from m1.schemas.plan import Drawn, Plan
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.schemas.settings import Setting, decode_passes
from m1.vlm.knobs.check import check_knobs
from m1.vlm.loading.load import load_vlm
from m1.vlm.loading.outline import outline
from m1.vlm.pictures import Picture
from stages import answers, prepare, profiling
from stages import check as stage

RUN = CliRunner()
SIZES = [(64, 48), (64, 48), (64, 48), (48, 64), (50, 37), (64, 42)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own model: 64 visual tokens, six blocks, no experts."""
    return save(FAMILIES["llava"], tmp_path_factory.mktemp("own") / "model")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs, with a question and a caption for each."""
    folder = tmp_path_factory.mktemp("photos")
    for number, size in enumerate(SIZES):
        photo(*size, seed=number).save(folder / f"{number}.jpg")
    for name, prompt in (("qa", "What is this?"), ("captioning", "Describe the image.")):
        lines = [
            {"image": f"{n}.jpg", "prompt": prompt, "references": [f"a red star and {n} circles"]}
            for n in range(len(SIZES))
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def own(model: Path, photos: Path) -> dict[str, Any]:
    """The parameters that a user sets at first."""
    return {
        "data": {w: {"source": "jsonl", "root": str(photos / f"{w}.jsonl")} for w in WORKLOADS},
        "model": {"source": str(model)},
    }


def checked(params: Params, earlier: Path | None = None) -> Checked:
    analysis = params.analysis
    asked = Asked(
        params.data,
        params.model,
        params.knobs,
        params.profile,
        params.quality,
        params.validity,
        analysis.confidence,
        analysis.min_clusters,
    )
    return check(asked, earlier)


CORRECTED = {
    "data": {w: {"n_requests": None} for w in WORKLOADS},
    "knobs": {"vision_tokens": [64, 36, 16], "top_k": None, "active_blocks": [6, 4]},
}
# Nothing of this is wrong by default; it only takes long.
QUICK = {
    "knobs": {"vision_tokens": [64, 16], "active_blocks": [6]},
    "profile": {"n_trials": 2, "warmup_window": 2, "warmup_s": 0.01, "warmup_limit": 2}
    | {"max_new_tokens": {"qa": 2, "captioning": 3}},
}


def test_an_own_model_and_six_photos_take_two_attempts(
    model, photos, tmp_path, monkeypatch
) -> None:
    first = RUN.invoke(app, ["check", "--params", str(write_params(tmp_path, own(model, photos)))])
    assert first.exit_code == 1
    told = [line for line in first.stderr.splitlines() if line.startswith("error: ")]
    too_many = "the dataset has 6 requests; set it to 6 or fewer, or to null for all"
    assert told == [
        f"error: data.qa.n_requests = 320: {too_many}",
        f"error: data.captioning.n_requests = 320: {too_many}",
        "error: model.watched = data/models/scene-vlm/config.json: DVC would not see a change of "
        f"the model; set it to the folder of model.source (-S model.watched={model})",
        "error: knobs.top_k: the model has no experts; set knobs.top_k to null",
        "error: knobs.active_blocks = 8: the model has 6 blocks, of which 0, 5 always stay "
        "(counted from 0); allowed are 2 to 6",
        "error: knobs.vision_tokens = 144: the nearest that the model can do on 0.jpg (64 x 48 "
        "pixels) and 5 more is 64; ask for that",
        "error: 6 things to correct: see above",
    ]
    assert "vision_tokens: 64 at most, 64 untouched" in first.stdout
    nearly = merged(own(model, photos), CORRECTED)
    unwatched = RUN.invoke(app, ["check", "--params", str(write_params(tmp_path, nearly))])
    assert unwatched.stderr.splitlines()[-1] == "error: 1 thing to correct: see above"
    right = merged(nearly, {"model": {"watched": str(model)}})
    params = write_params(tmp_path, right)
    second = RUN.invoke(app, ["check", "--params", str(params)])
    assert (second.exit_code, second.stderr) == (0, "")
    for line in (
        "validity.min_e1 = 59: there will be 6 qa and 6 captioning requests in E1",
        "validity.min_observer = 20: there will be 6 qa and 6 captioning images with and without",
        "validity.min_answers = 50: there will be 6 qa and 6 captioning answers at each setting",
        "profile.e1_requests.qa: 300 asked for, only 6 exist",
        "qa has no P95: 6 requests; at 95% confidence it takes 59",
    ):
        assert line in second.stdout
    params = write_params(tmp_path, merged(right, QUICK))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for workload in WORKLOADS:
        prepare.main(workload, params, tmp_path / "requests" / workload)
    profiling.main(tmp_path / "requests", params, tmp_path / "journal", tmp_path / "profile")
    answers.main(tmp_path / "requests", params, tmp_path / "kept", tmp_path / "answers")
    run = read_record(ProfileRun, tmp_path / "profile/run.json")
    assert run.n_rows == planned(params).n_measurements
    assert not run.failed


def planned(params: Path) -> Plan:
    plan = checked(load_params(params)).plan
    assert plan
    return plan


def test_mistakes_in_data_model_and_knobs_are_reported_together(model, photos, tmp_path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "photos/1.jpg").unlink()
    (tmp_path / "photos/2.jpg").write_text("no image")
    (tmp_path / "photos/captioning.jsonl").unlink()
    changes = merged(own(tmp_path / "model", tmp_path / "photos"), CORRECTED)
    changes = merged(changes, {"knobs": {"vision_tokens": [64, 63, 500], "top_k": [2, 1]}})
    changes = merged(changes, {"model": {"device": "cuda:99", "watched": str(tmp_path / "model")}})
    found = checked(load_params(write_params(tmp_path, changes)))
    lines = "\n".join(found.problems.lines)
    for told in (
        "photos/1.jpg; ",
        "photos/2.jpg: no JPEG, PNG, WebP or GIF",
        "captioning.jsonl: no such file",
        "model.device = cuda:99",
        "knobs.top_k: the model has no experts",
        "64 and 63 both come to 64",
        "vision_tokens = 500: the nearest that the model can do on 0.jpg (64 x 48 pixels) and 3 "
        "more is 64, as for 64; leave it out",
    ):
        assert told in lines
    assert found.plan is None
    assert set(found.drawn) == {"qa"}


def test_all_mistakes_in_knobs_and_values_are_reported_at_once(vlm) -> None:
    values = [(500, 9, 99), (400, 3, 1), (144, 8, 8)]
    grid = [Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in values]
    with pytest.raises(UserError) as caught:
        check_knobs(vlm, grid, [Picture("a.png", (96, 96))])
    starts = [line.partition(":")[0] for line in caught.value.told]
    assert starts == [
        "knobs.top_k = 9",
        "knobs.top_k = 8",
        "knobs.active_blocks = 99",
        "knobs.active_blocks = 1",
        "knobs.vision_tokens = 500",
        "knobs.vision_tokens = 400",
    ]


@pytest.mark.parametrize("name", ["llava", "llava_next", "qwen3_vl_moe", "gemma3"])
def test_an_outline_is_the_model_without_reading_its_weights(name, tmp_path) -> None:
    folder = save(FAMILIES[name], tmp_path / "model")
    params = load_params(ROOT / "params.yaml", [f"model.source={folder}", "model.device=cpu"]).model
    whole = load_vlm(params).structure
    (folder / "model.safetensors").write_bytes(b"")
    seen = outline(params)
    assert seen.structure.pooling == whole.pooling
    assert seen.structure.required_blocks == whole.required_blocks
    tops = [[holder.value for holder in one.top_k_holders] for one in (seen.structure, whole)]
    assert tops[0] == tops[1]
    assert seen.end_tokens.source == "generation_config"


def test_an_architecture_that_needs_memory_to_be_built_is_loaded(model, monkeypatch) -> None:
    def needs_memory(*_: object) -> None:
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    monkeypatch.setattr("m1.vlm.loading.outline.random_model", needs_memory)
    params = load_params(ROOT / "params.yaml", [f"model.source={model}"]).model
    assert not next(outline(params).model.parameters()).is_meta


def test_the_plan_is_the_same_as_the_schedule(model, photos, tmp_path) -> None:
    changes = merged(merged(own(model, photos), CORRECTED), {"model": {"watched": str(model)}})
    changes = merged(changes, {"profile": {"decode_mode": "both", "e2_requests": {"qa": 4}}})
    params = load_params(write_params(tmp_path, changes))
    found = checked(params)
    assert found.plan
    assert found.record
    requests = {w: one.requests for w, one in found.record.by_workload.items()}
    rounds = schedule(params.profile, params.knobs.grid(), requests, decode_passes("both"))
    assert found.plan.n_measurements == sum(len(one.planned) for one in rounds)
    assert found.plan.n_answers == found.plan.n_settings * 12


@pytest.fixture
def sound(model, photos, tmp_path) -> Path:
    """Parameters without mistakes, with data that tests may change."""
    shutil.copytree(photos, tmp_path / "photos")
    changes = merged(own(model, tmp_path / "photos"), CORRECTED)
    return write_params(tmp_path, merged(changes, {"model": {"watched": str(model)}}))


def test_the_stage_writes_the_plan_and_leaves_the_requests_as_they_are(sound, tmp_path) -> None:
    out = tmp_path / "plan"
    stage.main(sound, out)
    requests = (out / "requests.json").read_bytes()
    assert read_record(Plan, out / "plan.json").workloads["qa"].n_requests == 6
    assert len(read_record(Drawn, out / "requests.json").by_workload["qa"].requests) == 6
    # With other knobs the images need not be there: DVC's queue runs in copies without them.
    (tmp_path / "photos/3.jpg").unlink()
    raw = yaml.safe_load(sound.read_text())
    raw["knobs"]["vision_tokens"] = 16
    sound.write_text(yaml.safe_dump(raw))
    stage.main(sound, out)
    assert read_record(Plan, out / "plan.json").n_settings == 2
    assert (out / "requests.json").read_bytes() == requests
    # With other data they are looked at.
    with (tmp_path / "photos/qa.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"3\.jpg"):
        stage.main(sound, out)
    assert (out / "requests.json").read_bytes() == requests


@pytest.mark.parametrize("module", ["check", "profiling", "answers"])
def test_a_typo_is_reported_before_torch_is_loaded(module, tmp_path) -> None:
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml").read_text().replace("dtype: float32", "dtype: bfloat61")
    )
    code = (
        f"import sys; from stages import {module}\n"
        f"try: {module}.main(params_file=__import__('pathlib').Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print({'torch', 'transformers', 'pandas'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "params.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    told, loaded = done.stdout.splitlines()
    assert told.endswith("; did you mean bfloat16?")
    assert loaded == "set()"


def test_pictures_that_are_all_broken_are_counted(sound, tmp_path) -> None:
    for path in (tmp_path / "photos").glob("*.jpg"):
        Image.new("RGB", (1, 1)).save(path, "BMP")
    found = checked(load_params(sound))
    assert len(found.problems.lines) == 2 * 5 + 2
    assert found.problems.lines[5] == "data.qa: 1 more images cannot be used"


COMPILED = {"model": {"runtime": "compiled", "device": "auto"}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "profile.n_processes = 1, and it takes 3"),
        ({"profile": {"n_processes": 2}}, "profile.n_processes = 2, and it takes 3"),
        ({"profile": {"n_processes": 3}}, None),
        ({"profile": {"n_processes": 3}, "model": {"keep_compiled": True}}, "model.keep_compiled"),
        ({"model": {"device": "cpu"}}, None),
        ({"model": {"runtime": "eager"}}, None),
    ],
)
def test_a_compiled_model_that_cannot_decide_is_foreseen(changes, told, tmp_path) -> None:
    params = load_params(write_params(tmp_path, merged(COMPILED, changes)))
    lines = list(few_compilations(params.model, params.profile))
    assert len(lines) == (told is not None)
    assert told is None or told in lines[0]


def test_too_few_trials_to_see_slow_spells_are_foreseen(tmp_path) -> None:
    few = planned(write_params(tmp_path, {"profile": {"n_trials": 8}}))
    told = "validity.drift: it takes 9 trials with E2 to tell, and there will be 8"
    assert told in few.cannot_pass
    enough = planned(write_params(tmp_path, {"profile": {"n_trials": 9}}))
    assert not any("trials with E2" in line for line in enough.cannot_pass)
