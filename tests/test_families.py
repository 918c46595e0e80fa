"""The tiny families work as real models do: template, processor, `generate`, save and load."""

import pytest
import torch
from families.common import photo
from families.plain import PlainProcessor
from families.registry import FAMILIES
from transformers import AutoModelForImageTextToText, AutoProcessor, BatchFeature

# Some processors of transformers make numpy arrays of tensors, of which numpy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = [(640, 480), (427, 640), (64, 64), (100, 60)]
N_NEW = 12
MOE = ["qwen3_vl_moe", "qwen3_5_moe", "aria", "internvl_moe", "gemma4_moe", "glm4v_moe"]
MOE += ["ernie4_5_vl_moe"]


class Family:
    """A built family with shortcuts for the tests."""

    def __init__(self, model, processor) -> None:
        self.model = model
        self.processor = processor

    def inputs(self, size=SIZES[0], seed=0, question="What is this?") -> BatchFeature:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        inputs = self.processor(text=text, images=[photo(*size, seed)], return_tensors="pt")
        return inputs.to(self.model.dtype)

    def answer(self, inputs) -> list[int]:
        ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=N_NEW)
        return ids[0, inputs["input_ids"].shape[1] :].tolist()

    @torch.no_grad()
    def logits(self, inputs) -> torch.Tensor:
        return self.model(**inputs, use_cache=False).logits[0, -1]

    def visual_tokens(self, inputs) -> int:
        return int((inputs["input_ids"] == self.model.config.image_token_id).sum())

    def blocks(self) -> torch.nn.ModuleList:
        decoder = self.model.get_decoder()
        return getattr(decoder, "model", decoder).layers  # Llama 4 has a head on its decoder


def built(name) -> Family:
    return Family(*FAMILIES[name]())


@pytest.fixture(scope="module", params=list(FAMILIES))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def family(name) -> Family:
    return built(name)


def differ(one, other) -> bool:
    return float((one - other).norm() / one.norm()) > 0.05


@pytest.mark.parametrize("size", SIZES)
def test_it_answers_in_several_words_about_an_image_of_any_size(family, size) -> None:
    inputs = family.inputs(size)
    answer = family.answer(inputs)
    assert inputs["input_ids"].shape[1] < 600
    assert family.visual_tokens(inputs) > 4
    assert len(set(answer)) > 3


def test_its_answer_depends_on_the_image_and_on_the_question(family) -> None:
    usual = family.logits(family.inputs())
    assert differ(usual, family.logits(family.inputs(seed=1)))
    assert differ(usual, family.logits(family.inputs(question="Is there a star?")))


def test_its_answer_depends_on_every_block(family) -> None:
    inputs = family.inputs()
    usual = family.logits(inputs)
    for block in family.blocks():
        skip = block.register_forward_hook(lambda _, args, __: args[0])
        assert differ(usual, family.logits(inputs))
        skip.remove()


@pytest.mark.parametrize("name", MOE, indirect=True)
def test_its_answer_depends_on_the_number_of_experts(name) -> None:
    family = built(name)
    inputs = family.inputs()
    usual = family.logits(inputs)
    text_config = family.model.config.get_text_config()
    for holder in [text_config, *family.model.modules()]:
        for setting in {"top_k", "top_k_experts"} & set(vars(holder)):
            setattr(holder, setting, 2)
    assert differ(usual, family.logits(inputs))


def test_it_is_built_the_same_each_time(name, family) -> None:
    again = built(name).model.state_dict()
    assert all(torch.equal(again[key], value) for key, value in family.model.state_dict().items())


def test_it_is_the_same_after_saving_and_loading(family, tmp_path) -> None:
    if isinstance(family.processor, PlainProcessor):
        pytest.skip("without torchvision its processor is a plain one, which is not saved")
    family.model.save_pretrained(tmp_path)
    family.processor.save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    loaded = Family(model, AutoProcessor.from_pretrained(tmp_path))
    assert type(model) is type(family.model)
    assert type(loaded.processor) is type(family.processor)
    inputs = family.inputs()
    assert loaded.answer(inputs) == family.answer(inputs)
    assert all(torch.equal(value, inputs[key]) for key, value in loaded.inputs().items())
