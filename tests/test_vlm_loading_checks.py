"""The measured model is the model that its files describe, or it is refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families.common import save
from families.refused import deepseek_vl_hybrid, florence2_config
from families.registry import FAMILIES
from safetensors.torch import load_file, save_file
from test_vlm_loading import params
from torch import Tensor
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from m1.errors import UserError
from m1.profiling.provenance import quantisation_of
from m1.schemas.profile import Quantisation
from m1.vlm.loading import stage_check
from m1.vlm.loading.load import load_vlm, ready
from m1.vlm.model import LoadedVlm
from m1.vlm.structure import StructureError

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save(FAMILIES["qwen3_vl_moe"], tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(folder: Path, change: Callable[[Tensors], object]) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def refusal(folder: Path, **changes: Any) -> str:
    """The error instead of loading: one line that names the source."""
    with pytest.raises(UserError) as caught:
        load_vlm(params(folder, **changes))
    told = str(caught.value)
    assert "\n" not in told
    assert told.startswith(f"model.source = {folder}: ")
    return told


# Weights

NORM = "model.language_model.layers.2.input_layernorm.weight"


def rename(tensors: Tensors) -> None:
    tensors["model.language_model.layers.2.another.weight"] = tensors.pop(NORM)


def widen(tensors: Tensors) -> None:
    tensors[NORM] = torch.ones(33)


EMBEDDING = "model.language_model.embed_tokens.weight"


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_weights_of_8_bits_are_refused_where_nothing_says_how_they_were_quantised(
    folder, dtype
) -> None:
    edit_weights(folder, lambda own: own.update({EMBEDDING: own[EMBEDDING].to(dtype)}))
    told = refusal(folder)
    assert f"{EMBEDDING} is stored as " in told
    assert "has no quantization_config" in told


def add_layer(tensors: Tensors) -> None:
    tensors[NORM.replace("layers.2", "layers.6")] = tensors[NORM].clone()


def add_lora(tensors: Tensors) -> None:
    tensors["model.language_model.layers.0.self_attn.q_proj.lora_A.weight"] = torch.ones(2, 32)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop(NORM), rf"no weights for {NORM}"),
        (lambda t: t.pop("lm_head.weight"), "no weights for lm_head.weight"),
        (lambda t: t.pop(next(n for n in t if "visual" in n)), "no weights for model.visual"),
        (rename, rf"no weights for {NORM}"),
        (widen, rf"{NORM} is 33 in its weights and 32 by its configuration"),
        (
            add_layer,
            r"weights hold more .*: .*layers\.6\.input_layernorm\.weight would be left out",
        ),
        (add_lora, r"weights hold more .*: .*lora_A\.weight would be left out"),
    ],
    ids=["missing", "no head", "no vision", "renamed", "other shape", "surplus layer", "adapter"],
)
def test_weights_that_are_not_the_models_are_refused(folder, change, told) -> None:
    edit_weights(folder, change)
    assert re.search(told, refusal(folder))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_hidden_layers": 5}, r"weights hold more .*: .*layers\.5\..* and \d+ more would be"),
        ({"num_hidden_layers": 7}, r"no weights for .*layers\.6"),
        ({"num_experts": 4}, r"is 8 x .* in its weights and 4 x .* by its configuration"),
        ({"vocab_size": 200}, r"\d+ x 32 in its weights and 200 x 32 by its configuration"),
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(saved, changes, told) -> None:
    assert re.search(told, refusal(saved, config={"text_config": changes}))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_a_mixture_that_chooses_no_expert_is_refused(folder, weights) -> None:
    none = {"text_config": {"num_experts_per_tok": 0}}
    with pytest.raises(StructureError, match="no expert is chosen"):
        load_vlm(params(folder, weights=weights, config=none))


def test_a_message_of_transformers_in_two_lines_is_reported_whole(folder) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit_config(folder, text_config=config["text_config"] | {"num_hidden_layers": "six"})
    assert "'num_hidden_layers': TypeError: Field 'num_hidden_layers' expected int" in refusal(
        folder
    )
    edit_config(folder, text_config=config["text_config"] | {"hidden_act": "no-such"})
    assert "KeyError: 'no-such'" in refusal(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json", "config.json"])
@pytest.mark.parametrize("content", ['{"a": ]', "\ufeff{}"], ids=["cut", "with a mark"])
def test_the_file_that_is_no_json_is_named(folder, name, content) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    assert f"{name} is no JSON: " in refusal(folder)


def test_the_log_of_transformers_about_weights_that_do_not_fit_is_reported(tmp_path) -> None:
    scene_vlm = Path(__file__).parent.parent / "data" / "models" / "scene-vlm"
    folder = shutil.copytree(scene_vlm, tmp_path / "model", ignore=shutil.ignore_patterns(".dvc*"))
    expert = "language_model.model.layers.3.mlp.experts.0.down_proj.weight"
    edit_weights(folder, lambda tensors: tensors.update({expert: torch.ones(3, 5)}))
    told = refusal(folder)
    assert re.search(r"layers\.3\.mlp\.experts\.down_proj cannot be made of its weights: ", told)
    assert "expects each tensor to be equal size, but got [3, 5] at entry 0 and [128, 128]" in told
    assert "above report" not in told


def test_an_edited_configuration_is_refused_like_a_changed_one(folder) -> None:
    text = json.loads((folder / "config.json").read_text())["text_config"]
    edit_config(folder, text_config=text | {"num_hidden_layers": 5})
    assert "weights hold more" in refusal(folder)


def test_a_missing_shard_is_refused(tmp_path) -> None:
    model, processor = FAMILIES["llava"]()
    model.save_pretrained(tmp_path, max_shard_size="60kB")
    processor.save_pretrained(tmp_path)
    _first, *others = sorted(tmp_path.glob("model-*.safetensors"))
    assert others
    assert load_vlm(params(tmp_path)).weights == "pretrained"
    others[0].unlink()
    assert others[0].name in refusal(tmp_path)
    # Nor does an index help that does not name what is missing.
    index = tmp_path / "model.safetensors.index.json"
    names = json.loads(index.read_text())
    names["weight_map"] = {n: f for n, f in names["weight_map"].items() if f != others[0].name}
    index.write_text(json.dumps(names))
    assert "no weights for" in refusal(tmp_path)


def test_two_sets_of_weights_are_refused(folder) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {NORM: "model.safetensors"}}))
    load_vlm(params(folder))
    index.write_text(json.dumps({"weight_map": {NORM: "model-00001-of-00002.safetensors"}}))
    assert "two sets of weights" in refusal(folder)


def test_other_formats_beside_safetensors_change_nothing(folder) -> None:
    before = load_vlm(params(folder)).fingerprint
    torch.save({NORM: torch.zeros(1)}, folder / "pytorch_model.bin")
    assert load_vlm(params(folder)).fingerprint == before


def test_weights_that_an_architecture_declares_unimportant_are_left_out(tmp_path) -> None:
    save(FAMILIES["qwen3_5_moe"], tmp_path)
    edit_weights(tmp_path, lambda t: t.update({"mtp.fc.weight": torch.ones(2)}))
    assert load_vlm(params(tmp_path)).weights == "pretrained"


def test_weights_of_another_class_are_refused_unless_intended(folder) -> None:
    built = json.loads((folder / "config.json").read_text())["architectures"][0]
    edit_config(folder, architectures=["Qwen3VLMoeForSequenceClassification"])
    told = refusal(folder)
    assert f"would be run as {built}" in told
    load_vlm(params(folder, config={"architectures": [built]}))
    edit_config(folder, architectures=[built.replace("VL", "_Vl")])
    load_vlm(params(folder))
    edit_config(folder, architectures=None)
    load_vlm(params(folder))


def test_a_class_that_is_no_list_is_read_as_one(folder) -> None:
    built = json.loads((folder / "config.json").read_text())["architectures"][0]
    edit_config(folder, architectures=built)
    load_vlm(params(folder))
    edit_config(folder, architectures="AnotherModel")
    assert f"its weights are of AnotherModel and would be run as {built}" in refusal(folder)


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b'"eos"', b"\xff\xfe"])
def test_a_generation_config_that_cannot_be_read_is_refused(folder, content) -> None:
    (folder / "generation_config.json").write_bytes(content)
    assert "generation_config.json is no JSON object" in refusal(folder)
    (folder / "generation_config.json").unlink()
    load_vlm(params(folder))


# Adapters


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_an_adapter_beside_the_weights_is_refused(folder, weights) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    save_file({"a": torch.ones(1)}, folder / "adapter_model.safetensors")
    assert "it has an adapter_config.json, and adapters are not applied" in refusal(
        folder, weights=weights
    )


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_model.bin"])
def test_weights_of_an_adapter_without_its_configuration_are_refused(folder, name) -> None:
    save_file({"a": torch.ones(1)}, folder / name)
    assert f"it has an {name}, and adapters are not applied" in refusal(folder)


# Quantisation


@register_quantization_config("m1_test")
class MadeUpConfig(QuantizationConfigMixin):
    """The configuration of a method that only these tests know."""

    def __init__(self, bits: int = 4, dequantize: bool = False, **_: object) -> None:
        self.quant_method, self.bits, self.dequantize = "m1_test", bits, dequantize


@register_quantizer("m1_test")
class MadeUpQuantizer(HfQuantizer):
    """Leaves weights as they are, or as it says that it cannot keep them."""

    undoes = False

    def validate_environment(self, *_: object, **__: object) -> None:
        self.quantization_config.dequantize = self.undoes

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


def test_quantisation_that_is_applied_is_recorded(folder) -> None:
    edit_config(folder, quantization_config={"quant_method": "m1_test", "bits": 3})
    assert quantisation_of(load_vlm(params(folder)).model) == Quantisation(method="m1_test", bits=3)


def test_quantisation_that_is_silently_undone_is_refused(folder, monkeypatch) -> None:
    edit_config(folder, quantization_config={"quant_method": "m1_test", "bits": 3})
    monkeypatch.setattr(MadeUpQuantizer, "undoes", True)
    assert "undoes the quantisation" in refusal(folder)


@pytest.mark.parametrize("method", ["no-such", "fp8", "mxfp4", "gptq", "bitsandbytes"])
def test_random_weights_are_not_quantised(folder, method) -> None:
    edit_config(folder, quantization_config={"quant_method": method, "bits": 4})
    told = refusal(folder, weights="random")
    assert f"quantization_config asks for {method}, and random weights are not quantised" in told
    plain = load_vlm(params(folder, weights="random", config={"quantization_config": None}))
    assert quantisation_of(plain.model) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"quant_method": "no-such"}, "asks for no-such, which transformers does not know"),
        ({"quant_method": "mxfp4", "dequantize": True}, r"asks for mxfp4, and to be undone"),
        ({"quant_method": "fp8"}, "cannot be loaded|undoes"),
        ({"quant_method": "mxfp4"}, "cannot be loaded|undoes"),
        ({"quant_method": "gptq", "bits": 4}, "cannot be loaded"),
        ({"bits": 4}, "cannot be loaded"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["whole", "text_config"])
def test_quantisation_that_cannot_be_done_is_refused(folder, settings, told, place) -> None:
    config = json.loads((folder / "config.json").read_text())
    part = config if place == "whole" else config["text_config"]
    part["quantization_config"] = settings
    (folder / "config.json").write_text(json.dumps(config))
    assert re.search(told, refusal(folder))


def test_quantisation_of_a_part_that_is_ignored_is_refused(folder) -> None:
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    edit_config(folder, vision_config=vision | {"quantization_config": {"quant_method": "m1_test"}})
    assert "vision_config.quantization_config asks for m1_test, which" in refusal(folder)


@pytest.mark.parametrize(
    ("settings", "bits"),
    [
        ({"quant_method": "mxfp4"}, 4),
        ({"quant_method": "fbgemm_fp8"}, 8),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False}, 4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 2}}}, 2),
        ({"quant_method": "quanto", "weights": "float"}, None),
    ],
    ids=str,
)
def test_bits_are_found_where_a_method_keeps_them(vlm, monkeypatch, settings, bits) -> None:
    config = MadeUpConfig()
    config.to_dict = lambda: settings
    quantizer = MadeUpQuantizer(config)
    monkeypatch.setattr(vlm.model, "hf_quantizer", quantizer, raising=False)
    found = quantisation_of(vlm.model)
    assert found == Quantisation(method=settings["quant_method"], bits=bits)


# Stages


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_an_encoder_decoder_model_is_refused(tmp_path, weights) -> None:
    florence2_config().save_pretrained(tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    assert "an encoder-decoder model (is_encoder_decoder in" in refusal(tmp_path, weights=weights)


def test_an_encoder_decoder_part_is_refused(tmp_path) -> None:
    florence2_config().save_pretrained(tmp_path)
    edit_config(tmp_path, is_encoder_decoder=False)
    told = refusal(tmp_path, weights="random")
    assert "an encoder-decoder model (text_config.is_encoder_decoder in" in told


def test_a_second_vision_tower_is_refused() -> None:
    model, processor = deepseek_vl_hybrid()
    with pytest.raises(StructureError, match=r"second vision tower, model\.high_res_vision_model"):
        ready(model, processor, torch.device("cpu"))


@pytest.mark.parametrize("stage", ["vision_tower", "projectors", "blocks"])
def test_a_stage_that_does_not_run_is_reported(vlm, monkeypatch, stage) -> None:
    class Half:
        """A runtime that skips a stage."""

        def __init__(self, _: object) -> None: ...

        def prefill(self, inputs: Tensors) -> None:
            structure = vlm.structure
            for name in {"vision_tower", "projectors", "blocks"} - {stage}:
                found = getattr(structure, name)
                for module in found if isinstance(found, tuple) else [found]:
                    for hook in list(module._forward_pre_hooks.values()):
                        hook(module, (), {})

    monkeypatch.setattr(stage_check, "EagerRuntime", Half)
    named = {"vision_tower": "the vision tower", "projectors": "the projector"}
    told = named.get(stage, "decoder block 0")
    with pytest.raises(StructureError, match=f"{told}.* does not run"):
        stage_check.check_stages(vlm)


def test_the_check_leaves_no_hook(vlm: LoadedVlm) -> None:
    before = [len(module._forward_pre_hooks) for module in vlm.model.modules()]
    stage_check.check_stages(vlm)
    assert [len(module._forward_pre_hooks) for module in vlm.model.modules()] == before


# From the hub


@pytest.fixture
def hub(folder, tmp_path, monkeypatch) -> Path:
    """The model in a cache of the hub, as `me/tiny`; the folder of its files."""
    repository = tmp_path / "hub" / "models--me--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


def test_a_hub_model_is_checked_in_the_same_way(hub, saved) -> None:
    source = Path("me/tiny")
    loaded = load_vlm(params(source))
    assert loaded.revision == hub.name
    assert load_vlm(params(saved)).revision is None
    (hub / "README.md").write_text("Read me.")
    assert load_vlm(params(source)).fingerprint == loaded.fingerprint
    generation = json.loads((hub / "generation_config.json").read_text())
    generation["repetition_penalty"] = 1.3
    (hub / "generation_config.json").write_text(json.dumps(generation))
    assert load_vlm(params(source)).fingerprint != loaded.fingerprint
    (hub / "adapter_config.json").write_text("{}")
    assert "adapters are not applied" in refusal(source)


def test_a_revision_is_the_one_that_was_asked_for(hub) -> None:
    other = hub.with_name("f" * 40)
    shutil.copytree(hub, other)
    (other / "generation_config.json").write_text("{}")
    (hub.parent.parent / "refs" / "tried").write_text(other.name)
    main, tried = (load_vlm(params(Path("me/tiny"), revision=name)) for name in ("main", "tried"))
    assert (main.revision, tried.revision) == (hub.name, other.name)
    assert main.fingerprint != tried.fingerprint
    assert load_vlm(params(Path("me/tiny"), revision=other.name)).fingerprint == tried.fingerprint
    assert "cannot be loaded" in refusal(Path("me/tiny"), revision="no-such")
    assert "cannot be loaded" in refusal(Path("me/absent"))
