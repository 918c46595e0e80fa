"""The pictures of prepared requests, and whether the model accepts them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from m1.prepared import Prepared, PreparedRequests
from m1.schemas.requests import Request, Workload
from m1.schemas.settings import Setting
from m1.vlm.encoding import in_pixels
from m1.vlm.model import LoadedVlm, Size
from m1.vlm.processing import RefusedError
from m1.vlm.visual_plans import plan_visual_tokens


class Picture(NamedTuple):
    """A picture that will be measured."""

    name: str
    """The name that its user knows."""
    size: Size
    """Width and height in pixels."""


def _picture_of(prepared: PreparedRequests, request: Request) -> Picture:
    """The picture of a request.

    Raises:
        UserError: if it cannot be read.
    """
    return Picture(prepared.name_of(request), prepared.open_image(request).size)


def pictures_of(prepared: Prepared, planned: Iterable[tuple[Workload, Request]]) -> list[Picture]:
    """The pictures of some requests. Each picture occurs once in a workload.

    Raises:
        UserError: if one of them cannot be read.
    """
    by_image = {(w, request.image): request for w, request in planned}
    return [_picture_of(prepared[w], request) for (w, _), request in by_image.items()]


# If the nearest possible number differs by more than this share, it is a different setting.
FAR = 0.25


def picture_problems(
    vlm: LoadedVlm, grid: Sequence[Setting], pictures: Sequence[Picture]
) -> Iterator[str]:
    """The mistakes of pictures at the values of the knob, each as a line.

    There are three mistakes: the processor does not accept a picture, a number of visual tokens is
    far from possible on it, or two values give the same number. One picture is named for each
    mistake; the others are counted.

    Args:
        vlm: the model.
        grid: all settings.
        pictures: all pictures that will be measured.
    """
    named: dict[Size, list[str]] = {}
    for name, size in dict.fromkeys(pictures):  # both workloads may be about the same ones
        named.setdefault(size, []).append(name)
    reasons = {size: reason for size in named if (reason := _why_refused(vlm, size))}
    if reasons:
        reason = next(iter(reasons.values()))
        yield (
            f"{_first(named, reasons)}: the model's processor cannot take it ({reason}); leave out "
            "such pictures"
        )
    taken = [size for size in named if size not in reasons]
    values = [n for n in dict.fromkeys(setting.vision_tokens for setting in grid) if n]
    counts = {
        wanted: {size: plan_visual_tokens(vlm, size, wanted).n_tokens for size in taken}
        for wanted in values
    }
    far = {
        wanted: sizes
        for wanted, found in counts.items()
        if (sizes := [size for size, n in found.items() if abs(n - wanted) > FAR * wanted])
    }
    near = [wanted for wanted in values if wanted not in far]
    for wanted, sizes in far.items():
        n = counts[wanted][sizes[0]]
        taken_by = [other for other in near if counts[other][sizes[0]] == n]
        yield (
            f"knobs.vision_tokens = {wanted}: the nearest that the model can do on "
            f"{_first(named, sizes)} is {n}{_instead(taken_by, on_all=len(sizes) == len(taken))}"
        )
    for one, other in combinations(near, 2):
        same = [size for size in taken if counts[one][size] == counts[other][size]]
        if same:
            yield (
                f"knobs.vision_tokens: {one} and {other} both come to {counts[one][same[0]]} "
                f"visual tokens on {_first(named, same)}, the nearest the model can do; leave out "
                "one of them"
            )


def _instead(taken_by: Sequence[int], *, on_all: bool) -> str:
    """Advice on a value that is not possible, on all pictures or on some."""
    if not on_all:
        return "; ask for another number, or leave out such pictures"
    return f", as for {taken_by[0]}; leave it out" if taken_by else "; ask for that"


def _why_refused(vlm: LoadedVlm, size: Size) -> str:
    try:
        plan_visual_tokens(vlm, size, None)
    except RefusedError as error:
        return str(error)
    return ""


def _first(named: Mapping[Size, Sequence[str]], sizes: Collection[Size]) -> str:
    """The first picture of some sizes, and the number of other pictures."""
    first, *_ = sizes
    further = sum(len(named[size]) for size in sizes) - 1
    return f"{named[first][0]} ({in_pixels(first)})" + (f" and {further} more" if further else "")
