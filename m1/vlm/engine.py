"""The greedy engine: encode a request, prefill, decode one token after another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from transformers import Cache, PreTrainedModel

from m1.vlm.loading import LoadedVlm

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Generation:
    """What the model wrote for one request, and the cache it left."""

    tokens: tuple[int, ...]
    finish_reason: FinishReason
    cache: Cache


def encode(
    vlm: LoadedVlm, image: Image.Image, prompt: str, n_visual_tokens: int | None = None
) -> dict[str, Tensor]:
    """Turn an image and a prompt into the model's inputs, on its device.

    Args:
        vlm: the model.
        image: an RGB picture.
        prompt: what to ask; the processor's chat template is put around it.
        n_visual_tokens: placeholders to leave for visual tokens; `None` leaves all.

    Returns:
        Tensors with batch size 1, `input_ids` (1 x position) among them.
    """
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    text = vlm.processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    inputs = vlm.processor(text=text, images=[image], return_tensors="pt", add_special_tokens=False)
    tensors = {name: tensor.to(vlm.device) for name, tensor in inputs.items()}
    if n_visual_tokens is not None:
        _leave_placeholders(tensors, vlm.structure.image_token_id, n_visual_tokens)
    floating = {n: t.to(vlm.model.dtype) for n, t in tensors.items() if t.is_floating_point()}
    return tensors | floating


def count_visual_tokens(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> int:
    """Placeholders for visual tokens in encoded inputs."""
    return int((inputs["input_ids"] == vlm.structure.image_token_id).sum())


def _leave_placeholders(tensors: dict[str, Tensor], image_token_id: int, n: int) -> None:
    """Drop all but the first n placeholders from everything that has a value a position."""
    shape = tensors["input_ids"].shape
    is_image = tensors["input_ids"][0] == image_token_id
    keep = ~is_image | (is_image.cumsum(0) <= n)
    for name, tensor in tensors.items():
        if tensor.shape == shape:
            tensors[name] = tensor[:, keep]


def prefill(model: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
    """Run the whole prompt.

    Returns:
        The first token (1 x 1) and the key-value cache of the prompt.
    """
    output: Any = model(**inputs, use_cache=True, logits_to_keep=1)
    return greedy(output.logits), output.past_key_values


def decode_one_token(model: PreTrainedModel, token: Tensor, cache: Cache) -> Tensor:
    """Run one token against the cache, which grows by it; returns the next token (1 x 1)."""
    output: Any = model(input_ids=token, past_key_values=cache, use_cache=True)
    return greedy(output.logits)


def greedy(logits: Tensor) -> Tensor:
    """The most likely next token (1 x 1) by logits of 1 x position x vocabulary."""
    return logits[:, -1:].argmax(-1)


@torch.inference_mode()
def answer(
    vlm: LoadedVlm,
    inputs: dict[str, Tensor],
    max_new_tokens: int,
    on_first_token: Callable[[], None] = lambda: None,
) -> Generation:
    """Answer one request greedily, up to an end-of-sequence token or the longest output.

    Args:
        vlm: the model, its knobs already turned.
        inputs: from `encode`.
        max_new_tokens: longest output.
        on_first_token: called once the first token is known.
    """
    ends = vlm.eos_token_ids
    token, cache = prefill(vlm.model, inputs)
    tokens = [int(token)]
    on_first_token()
    while tokens[-1] not in ends and len(tokens) < max_new_tokens:
        token = decode_one_token(vlm.model, token, cache)
        tokens.append(int(token))
    return Generation(tuple(tokens), "stop" if tokens[-1] in ends else "length", cache)


def text_of(vlm: LoadedVlm, generation: Generation) -> str:
    """The written text without special tokens."""
    text: str = vlm.processor.decode(list(generation.tokens), skip_special_tokens=True)
    return text.strip()


def executed_blocks(cache: Cache) -> int:
    """Blocks that left keys and values in the cache."""
    layers: list[Any] = cache.layers
    return sum(1 for layer in layers if layer.get_seq_length() > 0)
