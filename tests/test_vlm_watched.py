from pathlib import Path

import pytest
import yaml
from import_graph import ROOT

from m1.errors import UserError
from m1.params import ModelParams
from m1.vlm.loading.watched import EMBEDDED, check_watched


def params_of(source: object, watched: object = None) -> ModelParams:
    return ModelParams(
        source=str(source),
        watched=None if watched is None else str(watched),
        dtype="float32",
        device="cpu",
        experts="eager",
        n_threads=1,
    )


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a model, where DVC runs the stage."""
    monkeypatch.setenv("DVC_STAGE", "profile")
    monkeypatch.chdir(ROOT)
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.mark.parametrize("watched", [None, "data/models/scene-vlm", ""])
def test_a_folder_that_dvc_does_not_watch_is_refused(model: Path, watched: str | None) -> None:
    with pytest.raises(UserError, match=f"-S model.watched={model}"):
        check_watched(params_of(model, watched))


def test_a_folder_that_dvc_watches_is_accepted(model: Path) -> None:
    check_watched(params_of(model, model))
    check_watched(params_of(f"{model}/", model))


def test_a_folder_into_which_dvc_does_not_look_is_refused(model: Path) -> None:
    (model / ".dvc").mkdir()
    with pytest.raises(UserError, match="DVC project of its own"):
        check_watched(params_of(model, model))


@pytest.mark.usefixtures("model")
def test_the_embedded_model_and_models_of_the_hub_are_accepted() -> None:
    assert (ROOT / EMBEDDED / ".dvc").is_dir()
    check_watched(params_of(EMBEDDED, EMBEDDED / "config.json"))
    check_watched(params_of("llava-hf/llava-1.5-7b-hf", EMBEDDED / "config.json"))


def test_every_file_of_the_embedded_model_that_is_loaded_is_watched() -> None:
    own = {"README.md", "dvc.yaml", "dvc.lock", "params.yaml", ".gitignore", ".dvcignore"}
    own |= {"training_curve.json", "evaluation.json"}
    loaded = {path.name for path in (ROOT / EMBEDDED).iterdir() if path.is_file()} - own
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in ("profile", "answers"):
        deps = {Path(dep) for dep in stages[stage]["deps"]}
        assert {dep.name for dep in deps if dep.parent == EMBEDDED} == loaded


def test_a_stage_that_runs_without_dvc_is_not_checked(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE")
    check_watched(params_of(model))
