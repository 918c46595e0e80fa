"""The embedded model loads like any other, was trained by its pipeline, and is good enough."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SCENE_VLM
from safetensors import safe_open
from test_params import unbounded
from transformers import AutoModelForImageTextToText, AutoProcessor, OlmoeModel
from yaml import safe_load

from m1.errors import UserError
from m1.files import read_record
from m1.scene_vlm.batches import Batch, SceneBatches
from m1.scene_vlm.evaluation import SceneVlmEvaluation, quality, written_for
from m1.scene_vlm.training import SceneVlmParams, Trainer, learning_rate
from m1.schemas.settings import Setting
from m1.vlm.at_setting import AtSetting
from m1.yaml_text import read_yaml

MAX_WEIGHTS_BYTES = 20_000_000


def evaluation() -> SceneVlmEvaluation:
    return read_record(SceneVlmEvaluation, SCENE_VLM / "evaluation.json")


def training_params(**changes: object) -> SceneVlmParams:
    raw = safe_load((SCENE_VLM / "params.yaml").read_text())
    raw["architecture"] |= {"hidden_size": 32, "n_blocks": 2, "n_vision_layers": 1}
    raw["architecture"] |= {"n_experts": 4, "expert_width": 16}
    raw["training"] |= {"n_steps": 4, "batch_size": 4, "warmup_steps": 2}
    raw["training"] |= {"checkpoint_every_steps": 2}
    raw["curriculum"] |= {"captions_only_steps": 1, "elastic_from_step": 2, "active_blocks": [2]}
    raw["training"] |= changes
    return SceneVlmParams.model_validate_json(json.dumps(raw))


def test_the_auto_classes_load_it() -> None:
    model = AutoModelForImageTextToText.from_pretrained(SCENE_VLM)
    processor = AutoProcessor.from_pretrained(SCENE_VLM)
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert isinstance(model.model.language_model, OlmoeModel)
    assert type(processor).__name__ == "LlavaProcessor"
    assert processor.tokenizer.is_fast


def test_its_weights_are_small_and_in_half_precision() -> None:
    path = SCENE_VLM / "model.safetensors"
    assert path.stat().st_size < MAX_WEIGHTS_BYTES
    with safe_open(path, "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118


def test_it_reaches_its_required_quality_at_the_native_setting() -> None:
    native = evaluation().settings["144/4/8"]
    assert evaluation().n_scenes >= 500
    assert native.qa_accuracy >= 0.85
    assert native.objects_described >= 0.9
    assert native.cider_d > 3 * native.cider_d_of_other_scenes


@pytest.mark.parametrize("shrunk", ["16/4/8", "144/1/8", "144/4/4"])
def test_quality_falls_as_each_knob_is_reduced(shrunk) -> None:
    settings = evaluation().settings
    assert settings[shrunk].qa_accuracy < settings["144/4/8"].qa_accuracy
    assert settings[shrunk].cider_d < settings["144/4/8"].cider_d


def test_the_published_quality_is_that_of_the_weights(vlm, held_out) -> None:
    native = Setting(vision_tokens=144, top_k=4, active_blocks=8)
    texts = [question.text for question in held_out.questions]
    at = AtSetting(vlm, native)
    answers = written_for(at, held_out, texts, "qa")
    prompts = ["Describe the image."] * len(held_out.scenes)
    seen = quality(held_out, answers, written_for(at, held_out, prompts, "captioning"))
    assert seen.objects_described >= 0.95
    assert seen.qa_accuracy >= 0.75


def test_the_model_card_shows_the_measured_table() -> None:
    card = (SCENE_VLM / "README.md").read_text()
    for label, one in evaluation().settings.items():
        row = (
            f"| {label} | {one.qa_accuracy:.1%} | {one.objects_described:.1%} | {one.cider_d:.2f} |"
        )
        assert row in card


def test_a_batch_depends_only_on_seed_and_step(vlm) -> None:
    def batch(step, seed=1) -> Batch:
        plan = training_params().curriculum
        native = Setting(vision_tokens=144)
        batches = SceneBatches(vlm.processor, plan, native, batch_size=4, seed=seed)
        return batches[step]

    assert torch.equal(batch(5).pixel_values, batch(5).pixel_values)
    assert torch.equal(batch(5).input_ids, batch(5).input_ids)
    assert not torch.equal(batch(5).pixel_values, batch(6).pixel_values)
    assert not torch.equal(batch(5).pixel_values, batch(5, seed=2).pixel_values)


def test_only_answers_and_captions_are_targets(vlm) -> None:
    plan = training_params().curriculum
    batches = SceneBatches(vlm.processor, plan, Setting(vision_tokens=16), batch_size=4, seed=1)
    batch = batches[1]
    written = [
        vlm.processor.tokenizer.decode(ids[weights > 0])
        for ids, weights in zip(batch.input_ids, batch.weights, strict=True)
    ]
    asked = [text for text, asks in zip(written, batch.is_answer, strict=True) if asks]
    described = [text for text, asks in zip(written, batch.is_answer, strict=True) if not asks]
    assert asked
    assert all(text.count("<eos>") == plan.n_turns and "?" not in text for text in asked)
    assert described
    assert all(text.strip().startswith("The image shows") for text in described)


def test_the_learning_rate_rises_and_falls() -> None:
    training = training_params(n_steps=100, warmup_steps=10).training
    rates = [learning_rate(step, training) for step in range(100)]
    assert rates.index(max(rates)) in (9, 10)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] == pytest.approx(training.learning_rate / 20, rel=0.05)


class PowerCut(Exception):  # noqa: N818
    """An error in the place of a power cut."""


def trained(checkpoint: Path, interrupt: bool = False) -> dict[str, torch.Tensor]:
    def cut(trainer: Trainer) -> None:
        if interrupt and trainer.step == 2:
            raise PowerCut

    trainer = Trainer(training_params(), checkpoint, torch.device("cpu"))
    trainer.train(cut)
    assert trainer.step == 4
    return trainer.model.state_dict()


def test_a_resumed_training_gives_the_same_result_as_one_without_a_break(tmp_path) -> None:
    whole = trained(tmp_path / "whole" / "state.pt")
    with pytest.raises(PowerCut):
        trained(tmp_path / "cut" / "state.pt", interrupt=True)
    resumed = trained(tmp_path / "cut" / "state.pt")
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor)


def test_a_checkpoint_of_other_params_is_not_resumed(tmp_path) -> None:
    checkpoint = tmp_path / "state.pt"
    Trainer(training_params(), checkpoint, torch.device("cpu")).train()
    other = Trainer(training_params(learning_rate=0.001), checkpoint, torch.device("cpu"))
    assert other.step == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "n_steps: 6000",
            "n_steps: 1000000000000",
            "training.n_steps = 1000000000000: .* 100000000",
        ),
        ("learning_rate: 0.0015", "learning_rate: .inf", "training.learning_rate = Infinity: "),
        ("question_share: 0.7", "question_share: .nan", "curriculum.question_share = NaN: "),
        (
            "hidden_size: 128",
            "hidden_size: 128\n  hidden_size: 64",
            "key hidden_size is given twice",
        ),
        ("top_k:\n  - 4\n  - 2\n", "top_k: &a [*a]\n", "nested deeper than 20 levels"),
    ],
)
def test_its_parameters_have_bounds_as_all_have(old, new, told, tmp_path) -> None:
    text = (SCENE_VLM / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        read_yaml(SceneVlmParams, tmp_path / "params.yaml")


def test_every_parameter_of_it_has_an_upper_bound() -> None:
    assert unbounded(SceneVlmParams.model_json_schema()) == []
