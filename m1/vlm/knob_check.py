"""Whether a model can take every value of every knob, and what it could take instead."""

from collections.abc import Sequence

from m1.errors import Problems
from m1.schemas.plan import KnobLimits
from m1.schemas.settings import Setting
from m1.vlm.knobs import check_top_k
from m1.vlm.loaded import LoadedVlm, Size
from m1.vlm.picture_checks import Picture, picture_problems
from m1.vlm.visual_plans import plan_visual_tokens

# How many times its own number a model is asked for to see whether it can do more.
MORE = 4
# Shares of the largest number that are tried for what a model comes near.
SHARES = (1, 1 / 2, 1 / 4, 1 / 9, 1 / 16)


def check_knobs(vlm: LoadedVlm, grid: Sequence[Setting], pictures: Sequence[Picture]) -> None:
    """Refuse settings that the model cannot take, before anything is measured.

    Args:
        vlm: the model.
        grid: all settings.
        pictures: all that will be measured.

    Raises:
        UserError: with a line for each value of each knob, and for pictures, that it cannot take.
    """
    problems = Problems()
    for top_k in dict.fromkeys(one.top_k for one in grid if one.top_k):
        with problems.noted():
            check_top_k(vlm.structure, top_k)
    for n_active in dict.fromkeys(one.active_blocks for one in grid if one.active_blocks):
        with problems.noted():
            vlm.structure.blocks_that_stay(n_active)
    problems.lines += picture_problems(vlm, grid, pictures)
    problems.refuse()


def knob_limits(vlm: LoadedVlm, grid: Sequence[Setting], size: Size) -> KnobLimits:
    """What values the knobs of a model can take.

    Args:
        vlm: the model, which can take an image of the size.
        grid: all settings.
        size: of an image in pixels.
    """
    structure = vlm.structure
    native = plan_visual_tokens(vlm, size, None).n_tokens
    largest = max(native, plan_visual_tokens(vlm, size, MORE * native).n_tokens)
    tried = (plan_visual_tokens(vlm, size, max(1, round(share * largest))) for share in SHARES)
    asked = dict.fromkeys(one.vision_tokens for one in grid if one.vision_tokens)
    return KnobLimits(
        image_size=size,
        native_vision_tokens=native,
        largest_vision_tokens=largest,
        can_have_more=largest >= MORE * native,
        near_vision_tokens=tuple(dict.fromkeys(plan.n_tokens for plan in tried)),
        reached={str(n): plan_visual_tokens(vlm, size, n).n_tokens for n in asked},
        experts_per_token=min((h.value for h in structure.top_k_holders), default=None),
        n_blocks=len(structure.blocks),
        least_blocks=len(structure.required_blocks),
    )
