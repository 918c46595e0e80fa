"""Whether a model can take every picture that will be measured, at every value of the knob."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from m1.schemas.settings import Setting
from m1.vlm.encoding import in_pixels
from m1.vlm.loaded import LoadedVlm, Size
from m1.vlm.processing import RefusedError
from m1.vlm.requests import Picture
from m1.vlm.visual_plans import plan_visual_tokens

# Share of the wanted number beyond which the nearest possible is another setting altogether.
FAR = 0.25


def picture_problems(
    vlm: LoadedVlm, grid: Sequence[Setting], pictures: Sequence[Picture]
) -> Iterator[str]:
    """What is wrong with pictures at the values of the knob, a line each.

    A picture is named that the processor cannot take, that cannot nearly be given a number of
    visual tokens, or on which two values come to the same; the others are counted.

    Args:
        vlm: the model.
        grid: all settings.
        pictures: all that will be measured.
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
    for wanted, found in counts.items():
        far = [size for size, n in found.items() if abs(n - wanted) > FAR * wanted]
        if far:
            on_all = len(far) == len(taken)
            instead = "that" if on_all else "another number, or leave out such pictures"
            yield (
                f"knobs.vision_tokens = {wanted}: the nearest that the model can do on "
                f"{_first(named, far)} is {found[far[0]]}; ask for {instead}"
            )
    for one, other in combinations(values, 2):
        same = [size for size in taken if counts[one][size] == counts[other][size]]
        if same:
            yield (
                f"knobs.vision_tokens: {one} and {other} both come to {counts[one][same[0]]} "
                f"visual tokens on {_first(named, same)}, the nearest the model can do; leave out "
                "one of them"
            )


def _why_refused(vlm: LoadedVlm, size: Size) -> str:
    try:
        plan_visual_tokens(vlm, size, None)
    except RefusedError as error:
        return str(error)
    return ""


def _first(named: Mapping[Size, Sequence[str]], sizes: Collection[Size]) -> str:
    """The first picture of some sizes, and how many more there are."""
    first, *_ = sizes
    further = sum(len(named[size]) for size in sizes) - 1
    return f"{named[first][0]} ({in_pixels(first)})" + (f" and {further} more" if further else "")
