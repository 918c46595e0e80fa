"""Encoding a request: image and prompt to the model's inputs, with so many visual tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from m1.errors import Problems, UserError
from m1.schemas.settings import Setting
from m1.vlm.block_policies import KnobError
from m1.vlm.loaded import LoadedVlm, Size, VisualPlan
from m1.vlm.pooling import n_pooled

SMALLEST_SIDE_PX = 16
# How far from the expected scale the search for a number of visual tokens goes, and how finely.
SEARCH_FACTOR = 8.0
SEARCH_STEPS = 8
APPROACH_STEPS = 4
# A factor of the sides that brings more tokens wherever larger images have more.
MUCH_LARGER = 2.0
# No size is tried that has more pixels than this, or than the wanted tokens need: coarse models
# take 64 x 64 pixels for a token, some with a fixed number of tokens about twice that.
MOST_PIXELS = 24_000_000
MOST_PIXELS_PER_TOKEN = 128 * 128
# Share of the wanted number by which the first few sizes may miss it.
NEAR = 0.05
# Share of the wanted number beyond which the nearest possible is another setting altogether.
FAR = 0.25
# Where pooling follows, a picture is not made tiny for a handful of tokens: no smaller than half of
# what was expected, and the largest of those with a tenth more than the fewest.
SMALLEST = 0.5
SLACK = 1.1
# What processors return beside inputs of the forward pass.
NOT_INPUTS = frozenset({"labels"})


def encode(
    vlm: LoadedVlm, image: Image.Image, prompt: str, n_visual_tokens: int | None = None
) -> dict[str, Tensor]:
    """Turn an image and a prompt into the model's inputs, on its device.

    Args:
        vlm: the model.
        image: an RGB picture.
        prompt: what to ask; the model's chat template, if it has one, is put around it.
        n_visual_tokens: visual tokens wanted; `None` leaves the model's own number. The model's
            nearest possible number is what `plan_visual_tokens` says.

    Returns:
        Tensors with batch size 1, `input_ids` (1 x position) among them.
    """
    plan = plan_visual_tokens(vlm, image.size, n_visual_tokens)
    if plan.size != image.size:
        image = image.resize(plan.size, Image.Resampling.BICUBIC)
    tensors = _processed(vlm, image, prompt)
    _leave_placeholders(tensors, vlm.structure.image_token_id, plan.n_tokens)
    return {name: _on_device(vlm, tensor) for name, tensor in tensors.items()}


def count_visual_tokens(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> int:
    """Placeholders for visual tokens in encoded inputs."""
    return int((inputs["input_ids"] == vlm.structure.image_token_id).sum())


def plan_visual_tokens(vlm: LoadedVlm, size: Size, wanted: int | None) -> VisualPlan:
    """Find how to get a number of visual tokens, or the nearest that the model can do.

    A processor that gives larger images more tokens gets the image larger or smaller. What is
    then too many is pooled, unless the model places the tokens by the image's own grid.

    Args:
        vlm: the model.
        size: width and height of the image in pixels.
        wanted: visual tokens; `None` leaves the model's own number.
    """
    key = (size, wanted)
    if key not in vlm.visual_plans:
        vlm.visual_plans[key] = _plan(vlm, size, wanted)
    return vlm.visual_plans[key]


def check_visual_tokens(vlm: LoadedVlm, grid: Sequence[Setting], sizes: Sequence[Size]) -> None:
    """Whether the model can take all images, and the values of the knob differ on most.

    Args:
        vlm: the model.
        grid: all settings.
        sizes: of the images, the commonest first.

    Raises:
        UserError: for each value that cannot nearly be reached, or comes to the same number as
            another, on an image of the commonest size; and for each size that the processor cannot
            take.
    """
    values = list(dict.fromkeys(setting.vision_tokens for setting in grid))
    problems = Problems()
    refused: set[Size] = set()
    for size in sizes:
        with problems.noted():
            refused.add(size)
            for value in values:
                plan_visual_tokens(vlm, size, value)
            refused.remove(size)
    if taken := next((size for size in sizes if size not in refused), None):
        _check_apart(vlm, list(filter(None, values)), taken, problems)
    problems.refuse()


def _check_apart(vlm: LoadedVlm, values: list[int], size: Size, problems: Problems) -> None:
    """Note each value that is far from all that the model can do, or comes to another's number."""
    numbers = {wanted: plan_visual_tokens(vlm, size, wanted).n_tokens for wanted in values}
    on_image = f"on an image of {size[0]} x {size[1]} pixels"
    far = [wanted for wanted, n in numbers.items() if abs(n - wanted) > FAR * wanted]
    owner: dict[int, int] = {}
    # Those that can stay first, so that of two with one number the other is told to go.
    for wanted in sorted(values, key=lambda wanted: wanted in far):
        n, other = numbers[wanted], owner.setdefault(numbers[wanted], wanted)
        with problems.noted():
            if wanted in far:
                advice = "; ask for that" if other == wanted else f", as for {other}; leave it out"
                raise KnobError(
                    f"knobs.vision_tokens = {wanted}: the nearest that the model can do {on_image} "
                    f"is {n}{advice}"
                )
            if other != wanted:
                raise KnobError(
                    f"knobs.vision_tokens: {other} and {wanted} both come to {n} visual tokens "
                    f"{on_image}, the nearest the model can do; leave out one of them"
                )


def _plan(vlm: LoadedVlm, size: Size, wanted: int | None) -> VisualPlan:
    native = _count(vlm, size)
    if wanted is None or native in (0, wanted):
        return VisualPlan(size, native)
    pools = vlm.structure.pooling != "none"
    expected = (wanted / native) ** 0.5
    most_pixels = max(size[0] * size[1], min(MOST_PIXELS, wanted * MOST_PIXELS_PER_TOKEN))
    candidates = Candidates(vlm, size, most_pixels, {size: native})
    _search(candidates, expected, wanted)
    counts = candidates.counts
    not_tiny = {s: n for s, n in counts.items() if s[0] >= SMALLEST * expected * size[0]}
    enough = {s: n for s, n in not_tiny.items() if n >= wanted} if pools else {}
    best = _largest_of_few(enough, size) if enough else _nearest(counts, size, wanted)
    return VisualPlan(best, n_pooled(counts[best], wanted) if pools else counts[best])


def _count(vlm: LoadedVlm, size: Size) -> int:
    """Visual tokens of an image of a size, by the model's own processor."""
    return count_visual_tokens(vlm, _processed(vlm, Image.new("RGB", size), ""))


@dataclass(frozen=True)
class Candidates:
    """Sizes that an image may be made, up to a number of pixels, and their visual tokens."""

    vlm: LoadedVlm
    size: Size
    """Of the image itself."""
    most_pixels: int
    """No candidate has more: what is tried takes time and memory."""
    counts: dict[Size, int]
    """Visual tokens by size, of those that were tried and that the processor takes."""

    def size_at(self, scale: float) -> Size:
        """The size at a scale, as far as it may go."""
        width, height = self.size
        return scaled(self.size, min(scale, (self.most_pixels / (width * height)) ** 0.5))

    def at(self, scale: float) -> int | None:
        """Visual tokens at a scale; none where the processor refuses."""
        size = self.size_at(scale)
        if size not in self.counts:
            try:
                self.counts[size] = _count(self.vlm, size)
            except UserError:  # too long and narrow, say, once the sides are rounded
                return None
        return self.counts[size]


def _largest_of_few(counts: dict[Size, int], size: Size) -> Size:
    """The size nearest to the image's own that gives few tokens: pooling does the rest."""
    few = SLACK * min(counts.values())
    return min((s for s in counts if counts[s] <= few), key=lambda s: _distance(s, size))


def _nearest(counts: dict[Size, int], size: Size, wanted: int) -> Size:
    """The size that gives the nearest number of tokens."""
    return min(counts, key=lambda s: (abs(counts[s] - wanted), _distance(s, size)))


def _search(candidates: Candidates, expected: float, wanted: int) -> None:
    """Try sizes of the image, closer and closer to a wanted number of visual tokens."""
    tried = _approach(candidates, expected, wanted)
    if len(set(tried)) <= 1:
        extremes = (expected / SEARCH_FACTOR, expected * SEARCH_FACTOR)
        tried += [n for n in map(candidates.at, extremes) if n is not None]
        if len(set(tried)) <= 1:
            return
    if min(abs(n / wanted - 1) for n in tried) > NEAR:
        _bisect(candidates, expected, wanted)


def _approach(candidates: Candidates, scale: float, wanted: int) -> list[int]:
    """Numbers by the rule that tokens go with the area; few where a grid follows the image."""
    tried: dict[Size, int] = {}
    before, n_before = 1.0, candidates.counts[candidates.size]
    while len(tried) < APPROACH_STEPS and candidates.size_at(scale) not in tried:
        n = candidates.at(scale)
        if n is None:
            break
        tried[candidates.size_at(scale)] = n
        if n == n_before and scale > MUCH_LARGER * before:
            break  # larger ones cost more and tell no more
        before, n_before = scale, n
        scale *= (wanted / max(1, n)) ** 0.5
    return list(tried.values())


def _bisect(candidates: Candidates, expected: float, wanted: int) -> None:
    """Sizes on either side of a wanted number, where tokens come in steps."""
    factors = np.geomspace(1 / SEARCH_FACTOR, SEARCH_FACTOR, SEARCH_STEPS)
    tried = {scale: candidates.at(scale) for scale in expected * factors}
    too_few = [scale for scale, n in tried.items() if n is not None and n < wanted]
    enough = [scale for scale, n in tried.items() if n is not None and n >= wanted]
    if too_few and enough:
        low, high = max(too_few), min(enough)
        for _ in range(SEARCH_STEPS):
            scale = (low * high) ** 0.5
            n = candidates.at(scale)
            if n is None:
                return
            low, high = (scale, high) if n < wanted else (low, scale)


def scaled(size: Size, scale: float) -> Size:
    """Width and height times a factor, but not below a few pixels."""
    factor = max(scale, SMALLEST_SIDE_PX / min(size))
    return round(size[0] * factor), round(size[1] * factor)


def _distance(size: Size, other: Size) -> float:
    """How different two sizes are."""
    return abs(size[0] * size[1] / (other[0] * other[1]) - 1)


def _processed(vlm: LoadedVlm, image: Image.Image, prompt: str) -> dict[str, Tensor]:
    """What the model's processor makes of an image and a prompt."""
    text = vlm.prompts.write(prompt)
    try:
        inputs = vlm.processor(
            text=text,
            images=[image],
            return_tensors="pt",
            add_special_tokens=vlm.prompts.needs_special_tokens(text),
            # Some tokenizers' settings would cut a long prompt without a word.
            truncation=False,
        )
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"an image of {image.width} x {image.height} pixels: the model's processor cannot take "
            f"it ({reason}); leave it out"
        ) from None
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
    return {name: value for name, value in tensors.items() if name not in NOT_INPUTS}


def _leave_placeholders(tensors: dict[str, Tensor], image_token_id: int, n: int) -> None:
    """Leave n placeholders, evenly spaced, in everything that has a value for each position."""
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
    """The inputs of an empty image and prompt, for finding out how a model works."""
    return encode(vlm, Image.new("RGB", size), "")
