"""A model's fingerprint changes exactly if its outputs can change."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families.common import photo
from safetensors.torch import load_file, save_file
from test_vlm_loading import SCENE_VLM, params
from transformers import dynamic_module_utils

from m1.vlm.encoding import encode
from m1.vlm.loading.fingerprint import model_fingerprint
from m1.vlm.loading.load import load_vlm


@pytest.fixture
def folder(tmp_path) -> Path:
    return shutil.copytree(
        SCENE_VLM, tmp_path / "model", ignore=shutil.ignore_patterns("dvc.*", "*.dvc")
    )


def fingerprint(folder: Path, **changes: Any) -> str:
    return load_vlm(params(folder, **changes)).fingerprint


def merged(place: str, **changes: Any) -> Callable[[Path], None]:
    """A function that changes entries of a JSON file."""

    def change(folder: Path) -> None:
        file = folder / place
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def replaced(place: str, old: str, new: str) -> Callable[[Path], None]:
    """A function that changes text in a file."""

    def change(folder: Path) -> None:
        text = (folder / place).read_text()
        assert old in text
        (folder / place).write_text(text.replace(old, new))

    return change


def other_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[min(tensors)].view(-1)[0] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def other_words(folder: Path) -> None:
    """A tokenizer that writes one word for another."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    words = tokenizer["model"]["vocab"]
    *_, one, other = words
    words[one], words[other] = words[other], words[one]
    file.write_text(json.dumps(tokenizer))


CHANGES: dict[str, Callable[[Path], object]] = {
    "configuration": merged("config.json", vision_feature_layer=-2),
    "generation": merged("generation_config.json", repetition_penalty=1.2),
    "end of answers": merged("generation_config.json", eos_token_id=5),
    "image processor": replaced("processor_config.json", "0.48145466", "0.5"),
    "chat template": replaced("chat_template.jinja", "<assistant>", "<assistant> "),
    "tokenizer": other_words,
    "settings of the tokenizer": merged("tokenizer_config.json", eos_token="<user>"),
    "weights": other_weight,
}
NOTHING: dict[str, Callable[[Path], object]] = {
    "README": lambda folder: (folder / "README.md").write_text("Read me."),
    "how a model came about": lambda folder: (folder / "training_curve.json").write_text("[]"),
    "scores": lambda folder: (folder / "evaluation.json").write_text("{}"),
    "pipeline": lambda folder: (folder / "dvc.yaml").write_text("stages: {}"),
    "its parameters": lambda folder: (folder / "params.yaml").write_text("seed: 2"),
    "a picture": lambda folder: photo(8, 8).save(folder / "figure.png"),
    "hidden folder": lambda folder: (folder / ".git").mkdir(),
    "other formats": lambda folder: (folder / "pytorch_model.bin").write_bytes(b"1"),
    "layout of JSON": merged("generation_config.json"),
}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """Fingerprints of the unchanged model, by its weights."""
    return {one: fingerprint(SCENE_VLM, weights=one) for one in ("pretrained", "random")}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_file_that_can_change_an_output_counts(folder, before, change) -> None:
    change(folder)
    assert fingerprint(folder) != before["pretrained"]


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_files_that_are_not_loaded_do_not_count(folder, before, change) -> None:
    change(folder)
    assert fingerprint(folder) == before["pretrained"]


@pytest.mark.parametrize("name", ["configuration", "image processor", "tokenizer"])
def test_random_weights_count_except_for_their_values(folder, before, name) -> None:
    CHANGES["weights"](folder)
    assert fingerprint(folder, weights="random") == before["random"] != before["pretrained"]
    CHANGES[name](folder)
    assert fingerprint(folder, weights="random") != before["random"]


def test_changes_in_params_count_too(before) -> None:
    changed = fingerprint(SCENE_VLM, config={"vision_feature_layer": -2})
    assert len({*before.values(), changed}) == 3


def test_an_architecture_alone_has_a_fingerprint_of_its_image_processor(tmp_path) -> None:
    shutil.copy(SCENE_VLM / "config.json", tmp_path)
    bare = fingerprint(tmp_path, weights="random")
    assert bare == fingerprint(tmp_path, weights="random")
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 96}}
    settings["crop_size"] = {"height": 96, "width": 96}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    assert fingerprint(tmp_path, weights="random") != bare


def test_a_weight_counts_with_its_name_and_type(vlm) -> None:
    before, random = (model_fingerprint(vlm.model, one, "") for one in ("pretrained", "random"))
    assert model_fingerprint(vlm.model, "pretrained", "") == before
    weight = next(vlm.model.parameters())
    with torch.no_grad():
        weight[0] += 1
        changed = model_fingerprint(vlm.model, "pretrained", "")
        assert model_fingerprint(vlm.model, "random", "") == random
        weight[0] -= 1
    keys = [before, changed, random]
    keys.append(model_fingerprint(vlm.model, "pretrained", "other"))
    assert len(set(keys)) == 4


def test_use_does_not_change_it(folder) -> None:
    fresh = load_vlm(params(folder))
    used = load_vlm(params(folder))
    encode(used, photo(64, 64), "What is this?")
    used.processor.tokenizer(["one", "and two"], padding=True, truncation=True, max_length=4)
    assert used.fingerprint == fresh.fingerprint


CODE = """
from transformers import LlavaConfig, LlavaForConditionalGeneration

class OwnConfig(LlavaConfig):
    model_type = "m1_own_llava"

class Own(LlavaForConditionalGeneration):
    config_class = OwnConfig
"""


def test_a_models_own_code_counts(folder, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForImageTextToText": "own.Own"}
    merged("config.json", model_type="m1_own_llava", auto_map=classes, architectures=["Own"])(
        folder
    )
    (folder / "own.py").write_text(CODE)
    first = fingerprint(folder, weights="random", trust_remote_code=True)
    assert fingerprint(folder, weights="random", trust_remote_code=True) == first
    (folder / "own.py").write_text(f"{CODE}    scale = 2\n")
    assert fingerprint(folder, weights="random", trust_remote_code=True) != first
