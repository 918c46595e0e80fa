"""Run a model's processor on a picture and a prompt."""

import torch
from PIL import Image
from torch import Tensor

from m1.reasons import why
from m1.vlm.model import LoadedVlm

# What processors return beside inputs of the forward pass.
NOT_INPUTS = frozenset({"labels"})
# What processors raise over a picture of a shape that they cannot take.
REFUSALS = (ValueError, RuntimeError, ArithmeticError, LookupError, AssertionError)


class RefusedError(Exception):
    """The model's processor does not accept a picture. The message says why."""


def processed(vlm: LoadedVlm, image: Image.Image, prompt: str) -> dict[str, Tensor]:
    """The output of the model's processor for an image and a prompt.

    Raises:
        RefusedError: if it does not accept the image.
    """
    text = vlm.prompts.write(prompt)
    try:
        inputs = vlm.processor(
            text=text,
            images=[image],
            return_tensors="pt",
            add_special_tokens=vlm.prompts.needs_special_tokens(text),
            # Some tokenizers' settings would cut a long prompt without a message.
            truncation=False,
        )
    except torch.OutOfMemoryError:
        raise
    except REFUSALS as error:
        raise RefusedError(why(error)) from None
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
    return {name: value for name, value in tensors.items() if name not in NOT_INPUTS}


def count_visual_tokens(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> int:
    """Placeholders for visual tokens in encoded inputs."""
    return int((inputs["input_ids"] == vlm.structure.image_token_id).sum())
