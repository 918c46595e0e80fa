"""Encode a request: image and prompt become inputs with a chosen number of visual tokens."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from m1.errors import UserError
from m1.vlm.model import LoadedVlm, Size
from m1.vlm.processing import RefusedError, processed
from m1.vlm.structure import StructureError
from m1.vlm.visual_plans import plan_visual_tokens


def encode(
    vlm: LoadedVlm,
    image: Image.Image,
    prompt: str,
    n_visual_tokens: int | None = None,
    name: str = "the image",
) -> dict[str, Tensor]:
    """Turn an image and a prompt into the model's inputs, on its device.

    Args:
        vlm: the model.
        image: an RGB picture.
        prompt: the question or task; the model's chat template, if there is one, is put around it.
        n_visual_tokens: the wanted number of visual tokens; `None` keeps the model's own number.
            If it is not possible, `plan_visual_tokens` finds the nearest possible number.
        name: name of the picture, for errors.

    Returns:
        Tensors with batch size 1. They include `input_ids` (1 x position).

    Raises:
        UserError: if the model's processor does not accept the picture.
    """
    try:
        return _encoded(vlm, image, prompt, n_visual_tokens)
    except RefusedError as error:
        raise UserError(
            f"{name} ({in_pixels(image.size)}): the model's processor cannot take it ({error}); "
            "leave it out"
        ) from None


def in_pixels(size: Size) -> str:
    """A size as text for users."""
    return f"{size[0]} x {size[1]} pixels"


def _encoded(
    vlm: LoadedVlm, image: Image.Image, prompt: str, n_visual_tokens: int | None
) -> dict[str, Tensor]:
    plan = plan_visual_tokens(vlm, image.size, n_visual_tokens)
    if plan.size != image.size:
        image = image.resize(plan.size, Image.Resampling.BICUBIC)
    tensors = processed(vlm, image, prompt)
    _leave_placeholders(tensors, vlm.structure.image_token_id, plan.n_tokens)
    return {name: _on_device(vlm, tensor) for name, tensor in tensors.items()}


def _leave_placeholders(tensors: dict[str, Tensor], image_token_id: int, n: int) -> None:
    """Keep n evenly spaced placeholders in every tensor that has a value for each position."""
    shape = tensors["input_ids"].shape
    is_image = tensors["input_ids"][0] == image_token_id
    total = int(is_image.sum())
    if n >= total:
        return
    place = is_image.cumsum(0)
    keep = ~is_image | (place * n // total > (place - 1) * n // total)
    for name, tensor in tensors.items():
        if tensor.shape == shape:
            tensors[name] = tensor[:, keep]


def _on_device(vlm: LoadedVlm, tensor: Tensor) -> Tensor:
    dtype: Any = vlm.model.dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.to(device=vlm.device, dtype=dtype)


def blank_request(vlm: LoadedVlm, size: Size = (336, 336)) -> dict[str, torch.Tensor]:
    """The inputs of an empty image and prompt, which are used to find out how a model works.

    Raises:
        StructureError: if the processor does not accept them.
    """
    try:
        return _encoded(vlm, Image.new("RGB", size), "", None)
    except RefusedError as error:
        raise StructureError(
            f"{type(vlm.model).__name__}: its processor cannot take the plain picture that the "
            f"model is tried with ({error}): check the files of the processor beside the model"
        ) from None
