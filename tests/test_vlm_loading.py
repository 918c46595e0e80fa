"""Models load from folders, with weights or only as an architecture."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from families.common import photo
from families.registry import FAMILIES
from transformers import AutoConfig

from m1.errors import UserError
from m1.params import ModelParams
from m1.profiling.timing.request import reference_length, timed_with_marks
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs import pooling_place
from m1.vlm.knobs.apply import applied
from m1.vlm.loading.load import load_vlm, ready
from m1.vlm.loading.random_weights import random_model
from m1.vlm.loading.source import override
from m1.vlm.loading.stand_in import StandInProcessor
from m1.vlm.processing import count_visual_tokens

ROOT = Path(__file__).parent.parent
SCENE_VLM = ROOT / "data" / "models" / "scene-vlm"
PUBLISHED = ROOT / "data" / "models" / "published"


def params(source: Path, **changes) -> ModelParams:
    usual = {"dtype": "float32", "device": "cpu", "experts": "eager", "n_threads": 1}
    return ModelParams(source=str(source), **usual | changes)


@pytest.fixture
def config_only(tmp_path) -> Path:
    shutil.copy(SCENE_VLM / "config.json", tmp_path)
    return tmp_path


def test_an_architecture_is_measured_without_weights_and_tokenizer(config_only) -> None:
    vlm = load_vlm(params(config_only, weights="random"))
    setting = Setting(vision_tokens=36, top_k=2, active_blocks=4)
    inputs = encode(vlm, photo(640, 480), "How many stars are there?", 36)
    with applied(vlm.structure, setting):
        timed = timed_with_marks(vlm, inputs, 7, stops_at_end=False)
    assert timed.observed is not None
    assert len(timed.generation.tokens) == 7
    assert inputs["input_ids"].shape == (1, 36 + 6)
    seen = (timed.observed.n_visual_tokens, timed.observed.top_k, timed.observed.n_blocks)
    assert seen == (36, 2, 4)


@pytest.mark.parametrize("name", ["llava", "llava_next", "qwen3_vl_moe", "gemma3", "idefics3"])
@pytest.mark.parametrize("size", [(640, 480), (100, 60)], ids=str)
def test_the_stand_in_gives_as_many_visual_tokens_as_the_processor(tmp_path, name, size) -> None:
    model, processor = FAMILIES[name]()
    model.config.save_pretrained(tmp_path)
    processor.image_processor.save_pretrained(tmp_path)
    stand_in = load_vlm(params(tmp_path, weights="random"))
    assert isinstance(stand_in.processor, StandInProcessor)
    own = ready(model, processor, torch.device("cpu"))
    both = [encode(vlm, photo(*size), "What is this?") for vlm in (stand_in, own)]
    counts = [count_visual_tokens(stand_in, inputs) for inputs in both]
    assert counts[0] == counts[1] > 0
    answer(stand_in, both[0], 2)


def test_random_weights_are_the_same_every_time(config_only) -> None:
    one, other = (load_vlm(params(config_only, weights="random")) for _ in range(2))
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert one.fingerprint == other.fingerprint


def test_a_reference_has_as_many_tokens_as_its_median_and_the_end(config_only, vlm) -> None:
    stand_in = load_vlm(params(config_only, weights="random"))
    assert reference_length(stand_in, ["yes", "a red star", "no"]) == 2
    assert reference_length(stand_in, ["two red stars, a blue square and nothing else."]) == 12
    assert reference_length(vlm, ["red"]) >= 2


def test_entries_of_the_configuration_are_changed_by_name(config_only) -> None:
    changes = {"text_config": {"num_hidden_layers": 3}}
    vlm = load_vlm(params(config_only, weights="random", config=changes))
    assert len(vlm.structure.blocks) == 3


def test_an_unknown_entry_is_named() -> None:
    config = AutoConfig.from_pretrained(SCENE_VLM)
    with pytest.raises(UserError, match=r"model\.config\.text_config\.n_layer: OlmoeConfig has no"):
        override(config, {"text_config": {"n_layer": 3}})


def test_a_model_without_processor_is_refused_unless_its_weights_are_random(tmp_path) -> None:
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        shutil.copy(SCENE_VLM / name, tmp_path)
    with pytest.raises(UserError, match=r"model\.source = .*: cannot be loaded"):
        load_vlm(params(tmp_path))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"model_type": "no-such"}, "cannot be loaded"),
        ({"model_type": "bert"}, "cannot be loaded"),
        (None, "cannot be loaded"),
    ],
    ids=["unknown type", "no vision-language model", "not JSON"],
)
def test_a_broken_configuration_is_one_line(tmp_path, broken, told) -> None:
    (tmp_path / "config.json").write_text(json.dumps(broken) if broken else "{")
    with pytest.raises(UserError, match=told) as caught:
        load_vlm(params(tmp_path, weights="random"))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_safetensors_are_refused(tmp_path) -> None:
    shutil.copytree(SCENE_VLM, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no \*\.safetensors in it"):
        load_vlm(params(tmp_path / "model"))


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llava-1.5-7b", 7.06), ("llava-olmoe-1b-7b", 7.23), ("qwen3-vl-30b-a3b", 31.07)],
)
def test_published_architectures_have_their_published_size(name, billions) -> None:
    config = AutoConfig.from_pretrained(PUBLISHED / name)
    model = random_model(config, torch.bfloat16, torch.device("meta"), None)
    n = sum(parameter.numel() for parameter in model.parameters())
    assert n / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize("name", ["llava", "qwen3_vl_moe"])
def test_a_saved_folder_answers_like_the_model_it_was_saved_from(tmp_path, name) -> None:
    model, processor = FAMILIES[name]()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    vlm = load_vlm(params(tmp_path))
    inputs = encode(vlm, photo(640, 480), "What is this?")
    assert count_visual_tokens(vlm, inputs) > 0
    output = model.generate(**inputs, do_sample=False, max_new_tokens=8)
    expected = output[0, inputs["input_ids"].shape[1] :].tolist()
    assert list(answer(vlm, inputs, 8).tokens) == expected


def test_missing_weights_are_refused(tmp_path) -> None:
    shutil.copytree(SCENE_VLM, tmp_path / "model", ignore=shutil.ignore_patterns(".dvc*"))
    deeper = {"text_config": {"num_hidden_layers": 9}}
    with pytest.raises(UserError, match=r"cannot be loaded \(it has no weights for .*layers\.8"):
        load_vlm(params(tmp_path / "model", config=deeper))


@pytest.mark.parametrize("content", [b"", b"not weights at all"], ids=["empty", "garbage"])
def test_broken_weights_are_one_line(tmp_path, content) -> None:
    shutil.copytree(SCENE_VLM, tmp_path / "model", ignore=shutil.ignore_patterns(".dvc*"))
    (tmp_path / "model" / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_vlm(params(tmp_path / "model"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["four", -1], ids=str)
def test_an_entry_of_the_wrong_kind_is_one_line(config_only, value) -> None:
    changes = {"text_config": {"num_hidden_layers": value}}
    with pytest.raises(UserError, match=r"model\."):
        load_vlm(params(config_only, weights="random", config=changes))


def test_a_model_whose_image_does_not_go_into_the_prompt_is_refused(monkeypatch) -> None:
    model, processor = FAMILIES["llava"]()
    monkeypatch.setattr(pooling_place, "count_visual_tokens", lambda *_: 1)
    with pytest.raises(UserError, match="elsewhere than in the prompt"):
        ready(model, processor, torch.device("cpu"))


@pytest.mark.parametrize(
    ("source", "changes", "told"),
    [
        ("/nowhere/model", {}, "no such folder, and no hub id"),
        ("my/own/model", {}, "no such folder, and no hub id"),
        ("~nouser/model", {}, "no such folder, and no hub id"),
        (str(PUBLISHED / "llava-1.5-7b"), {}, r"no \*\.safetensors in it; .* set model\.weights"),
        (str(SCENE_VLM), {"revision": "main"}, r"model\.revision = main: a folder has none"),
    ],
    ids=["absent", "absent, relative", "nobody's home", "without weights", "revision of a folder"],
)
def test_a_folder_that_is_not_as_it_should_be_is_reported(source, changes, told) -> None:
    with pytest.raises(UserError, match=told):
        load_vlm(params(Path(source), **changes))
