"""Give an image a number of visual tokens, by choosing the size at which the processor gets it."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from m1.reasons import why
from m1.vlm.knobs.pooling import n_pooled
from m1.vlm.model import LoadedVlm, Size, VisualPlan
from m1.vlm.processing import RefusedError, count_visual_tokens, processed

SMALLEST_SIDE_PX = 16
# The limits and the number of steps of the search around the expected scale.
SEARCH_FACTOR = 8.0
SEARCH_STEPS = 8
APPROACH_STEPS = 4
# A factor of the sides. It gives more tokens on every model that has more for larger images.
MUCH_LARGER = 2.0
# No size is tried that has more pixels than this, or than the wanted tokens need: coarse models
# take 64 x 64 pixels for a token, some with a fixed number of tokens about twice that.
MOST_PIXELS = 24_000_000
MOST_PIXELS_PER_TOKEN = 128 * 128
# Numbers of tokens at the first few sizes may differ from the wanted one by this share of it.
NEAR = 0.05
# If pooling follows, a picture is not made tiny to get a few tokens. It is at least half of the
# expected size. Of all sizes with up to a tenth more tokens than the fewest, the largest is taken.
SMALLEST = 0.5
SLACK = 1.1

Count = Callable[[LoadedVlm, Size], int]
"""Visual tokens of an image of a size; raises `RefusedError`."""


def plan_visual_tokens(vlm: LoadedVlm, size: Size, wanted: int | None) -> VisualPlan:
    """Find how to get a number of visual tokens, or the nearest possible number.

    If a processor gives larger images more tokens, the image is made larger or smaller. If there
    are still too many tokens, they are pooled, unless the model arranges them by the image's grid.

    Args:
        vlm: the model.
        size: width and height of the image in pixels.
        wanted: the wanted number of visual tokens; `None` keeps the model's own number.

    Raises:
        RefusedError: if the processor does not accept an image of that size.
    """
    key = (size, wanted)
    if key not in vlm.visual_plans:
        vlm.visual_plans[key] = _plan(vlm, size, wanted)
    return vlm.visual_plans[key]


def _plan(vlm: LoadedVlm, size: Size, wanted: int | None) -> VisualPlan:
    if wanted is None:
        return VisualPlan(size, _count(vlm, size))
    native = plan_visual_tokens(vlm, size, None).n_tokens
    if native in (0, wanted):
        return VisualPlan(size, native)
    # Arithmetic takes microseconds per size, the processor milliseconds. So arithmetic chooses, if
    # the processor confirms its numbers for the image itself and for the chosen size.
    if _agrees(_reckon, vlm, size, native):
        best, n = _best(Candidates(vlm, size, wanted, native, _reckon))
        if best == size or _agrees(_count, vlm, best, n):
            return _pooled(vlm, best, n, wanted)
    return _pooled(vlm, *_best(Candidates(vlm, size, wanted, native, _count)), wanted)


def _pooled(vlm: LoadedVlm, size: Size, n: int, wanted: int) -> VisualPlan:
    return VisualPlan(size, n if vlm.structure.pooling == "none" else n_pooled(n, wanted))


def _best(candidates: "Candidates") -> tuple[Size, int]:
    """The size to take, and its visual tokens before any are pooled."""
    size, wanted, counts = candidates.size, candidates.wanted, candidates.counts
    expected = (wanted / candidates.native) ** 0.5
    _search(candidates, expected, wanted)
    not_tiny = {s: n for s, n in counts.items() if s[0] >= SMALLEST * expected * size[0]}
    enough = {s: n for s, n in not_tiny.items() if n >= wanted}
    pools = candidates.vlm.structure.pooling != "none"
    best = _largest_of_few(enough, size) if pools and enough else _nearest(counts, size, wanted)
    return best, counts[best]


def _count(vlm: LoadedVlm, size: Size) -> int:
    """Visual tokens of an image of a size, by the model's own processor.

    Raises:
        RefusedError: if it does not accept such an image.
    """
    return count_visual_tokens(vlm, processed(vlm, Image.new("RGB", size), ""))


def _reckon(vlm: LoadedVlm, size: Size) -> int:
    """Visual tokens of an image of a size, by the processor's arithmetic.

    Some processors also count tokens around those of the image. So the result of the arithmetic is
    only a key: images with the same result have the same number of visual tokens.

    Raises:
        RefusedError: if the processor has no arithmetic, or none for such an image.
    """
    width, height = size
    try:
        numbers = vlm.processor._get_num_multimodal_tokens(image_sizes=[[height, width]])
        said = int(numbers["num_image_tokens"][0])
    except Exception as error:  # it is not there, or is of another kind
        raise RefusedError(why(error)) from None
    if said not in vlm.reckoned:
        vlm.reckoned[said] = _count(vlm, size)
    return vlm.reckoned[said]


def _agrees(count: Count, vlm: LoadedVlm, size: Size, n: int) -> bool:
    """Whether a way of counting accepts an image of a size and gives the expected number."""
    try:
        return count(vlm, size) == n
    except RefusedError:
        return False


class Candidates:
    """Possible sizes of an image, up to a number of pixels, and their visual tokens."""

    def __init__(
        self,
        vlm: LoadedVlm,
        size: Size,
        wanted: int,
        native: int,
        count: Count,
    ) -> None:
        """Start from an image as it is.

        Args:
            vlm: the model.
            size: size of the image itself.
            wanted: the wanted number of visual tokens.
            native: visual tokens of the image itself.
            count: how tokens are counted.
        """
        self.vlm, self.size, self.wanted, self.native, self.count = vlm, size, wanted, native, count
        # No candidate has more pixels, since each try takes time and memory.
        self.most_pixels = max(size[0] * size[1], min(MOST_PIXELS, wanted * MOST_PIXELS_PER_TOKEN))
        self.counts: dict[Size, int] = {size: native}
        self.refused: set[Size] = set()

    def size_at(self, scale: float, *, blunt: bool = False) -> Size:
        """The size at a scale, within limits; a blunt size never becomes longer and narrower."""
        width, height = self.size
        scale = min(scale, (self.most_pixels / (width * height)) ** 0.5)
        return scaled(self.size, scale, blunt=blunt)

    def at(self, scale: float) -> int | None:
        """Visual tokens at a scale; `None` if the processor refuses the image.

        Some refuse images that are too long and narrow. Rounding the sides can make an image so.
        """
        for size in (self.size_at(scale), self.size_at(scale, blunt=True)):
            if size in self.counts:
                return self.counts[size]
            if size in self.refused:
                continue
            try:
                self.counts[size] = self.count(self.vlm, size)
            except RefusedError:
                self.refused.add(size)
            else:
                return self.counts[size]
        return None


def _largest_of_few(counts: dict[Size, int], size: Size) -> Size:
    """The size nearest to the image's own that gives few tokens. Pooling does the rest."""
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
        if len(set(tried)) <= 1 and not candidates.refused:
            return
    if all(abs(n / wanted - 1) > NEAR for n in tried):
        _bisect(candidates, expected, wanted)


def _approach(candidates: Candidates, scale: float, wanted: int) -> list[int]:
    """Numbers of tokens at sizes found by the rule that tokens are proportional to the area."""
    tried: dict[Size, int] = {}
    before, n_before = 1.0, candidates.counts[candidates.size]
    while len(tried) < APPROACH_STEPS and candidates.size_at(scale) not in tried:
        n = candidates.at(scale)
        if n is None:
            break
        tried[candidates.size_at(scale)] = n
        if n == n_before and scale > MUCH_LARGER * before:
            break  # larger ones cost more and show nothing new
        before, n_before = scale, n
        scale *= (wanted / max(1, n)) ** 0.5
    return list(tried.values())


def _bisect(candidates: Candidates, expected: float, wanted: int) -> None:
    """Try sizes on either side of a wanted number, if tokens come in steps."""
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


def scaled(size: Size, scale: float, *, blunt: bool = False) -> Size:
    """Width and height times a factor, but not below a few pixels.

    They are rounded. For a blunt result, rounding must not make the image longer and narrower.
    """
    factor = max(scale, SMALLEST_SIDE_PX / min(size))
    sides = [side * factor for side in size]
    if not blunt:
        return round(sides[0]), round(sides[1])
    long = max(sides)
    width, height = (math.floor(side) if side == long else math.ceil(side) for side in sides)
    return width, height


def _distance(size: Size, other: Size) -> float:
    """How different two sizes are."""
    return abs(size[0] * size[1] / (other[0] * other[1]) - 1)
