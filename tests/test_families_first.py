"""The tiny families behave as real ones: pictures, prompts, blocks and experts all matter."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from families.common import Built, photo, save
from families.first import FIRST
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor, BatchFeature

from m1.vlm.structure import find_structure

SIZES_PX = [(640, 480), (427, 640), (64, 64), (100, 60)]
MOE = ["qwen3_vl_moe", "qwen3_5_moe", "aria", "internvl_moe"]


@pytest.fixture(scope="module", params=FIRST)
def family(request) -> Iterator[Built]:
    return FIRST[request.param]()


def encode(processor: Any, size_px=(640, 480), seed=0, prompt="What is this?") -> BatchFeature:
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return processor(text=text, images=[photo(*size_px, seed)], return_tensors="pt")


@torch.inference_mode()
def generated(model, inputs) -> tuple[int, ...]:
    output = model.generate(**inputs, do_sample=False, max_new_tokens=12)
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


@torch.inference_mode()
def logits(model, inputs) -> Tensor:
    return model(**inputs).logits[0, -1]


def distance(one: Tensor, other: Tensor) -> float:
    """Root mean square difference as a share of the spread."""
    return float((one - other).square().mean().sqrt() / one.std())


def test_pictures_of_all_sizes_get_an_answer_of_several_tokens(family) -> None:
    model, processor = family
    all_inputs = [encode(processor, size_px) for size_px in SIZES_PX]
    answers = [generated(model, inputs) for inputs in all_inputs]
    assert max(inputs["input_ids"].shape[1] for inputs in all_inputs) < 600
    assert min(len(set(answer)) for answer in answers) > 1
    assert sum(len(answer) == 12 for answer in answers) > len(answers) / 2


def test_the_answer_depends_on_the_picture_and_on_the_prompt(family) -> None:
    model, processor = family
    first = encode(processor)
    for other in (encode(processor, seed=1), encode(processor, prompt="Describe the image.")):
        assert generated(model, other) != generated(model, first)


def test_every_block_matters(family) -> None:
    model, processor = family
    inputs = encode(processor)
    whole = logits(model, inputs)
    for block in find_structure(model).blocks:
        skipped = block.register_forward_hook(_output_is_input, with_kwargs=True)
        assert distance(whole, logits(model, inputs)) > 0.1
        skipped.remove()


def _output_is_input(block: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
    hidden = args[0] if args else kwargs["hidden_states"]
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@pytest.mark.parametrize("name", MOE)
def test_the_number_of_experts_matters(name) -> None:
    model, processor = FIRST[name]()
    routers = find_structure(model).routers
    assert len(routers) in (5, 6)  # some families have a dense first block
    inputs = encode(processor)
    whole = logits(model, inputs)
    for router in routers:
        router.top_k = 2
        assert distance(whole, logits(model, inputs)) > 0.01
        router.top_k = 4


@pytest.mark.parametrize("name", FIRST)
def test_a_saved_family_answers_as_before(name, tmp_path) -> None:
    folder = save(FIRST[name], tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    model, original = FIRST[name]()
    assert type(processor) is type(original)
    for size_px in SIZES_PX:
        expected, inputs = encode(original, size_px), encode(processor, size_px)
        assert inputs.keys() == expected.keys()
        assert all(torch.equal(inputs[key], expected[key]) for key in expected)
        assert generated(loaded, inputs) == generated(model, expected)
