"""The plain processors make prompts and tensors like the real processors of transformers."""

import pytest
import torch
from families.common import photo
from families.plain import plain_processor
from families.registry import FAMILIES, NEEDS_TORCHVISION

pytest.importorskip("torchvision", reason="without it there are no real ones to compare with")

SIZES_PX = [(640, 480), (427, 640), (64, 64), (100, 60), (336, 336), (24, 17), (20, 16)]
MESSAGES = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}
]


@pytest.mark.parametrize("name", sorted(NEEDS_TORCHVISION))
def test_plain_inputs_equal_those_of_the_real_processor_except_pixels(name) -> None:
    real = FAMILIES[name]()[1]
    plain = plain_processor(name, real.tokenizer, real.chat_template)
    options = {"add_generation_prompt": True, "tokenize": False}
    text = real.apply_chat_template(MESSAGES, **options)
    assert plain.apply_chat_template(MESSAGES, **options) == text
    for size_px in SIZES_PX:
        theirs, ours = (
            processor(
                text=text, images=[photo(*size_px)], return_tensors="pt", add_special_tokens=False
            )
            for processor in (real, plain)
        )
        assert ours.keys() == theirs.keys()
        for key, expected in theirs.items():
            assert ours[key].dtype == expected.dtype
            assert ours[key].shape == expected.shape
            assert key == "pixel_values" or torch.equal(ours[key], expected)
        ids = theirs["input_ids"][0]
        assert plain.decode(ids, skip_special_tokens=True) == real.decode(
            ids, skip_special_tokens=True
        )
