"""Find the possible values of a model's knobs."""

from collections.abc import Sequence

from m1.schemas.plan import KnobLimits
from m1.schemas.settings import Setting
from m1.vlm.model import LoadedVlm, Size
from m1.vlm.visual_plans import plan_visual_tokens

# A multiple of the model's own number. It is tried to see whether more tokens are possible.
MORE = 4
# Shares of the largest number. They are tried to find other possible numbers.
SHARES = (1, 1 / 2, 1 / 4, 1 / 9, 1 / 16)


def knob_limits(vlm: LoadedVlm, grid: Sequence[Setting], size: Size) -> KnobLimits:
    """The possible values of a model's knobs.

    Args:
        vlm: the model, which must accept an image of this size.
        grid: all settings.
        size: size of an image in pixels.
    """
    structure = vlm.structure
    native = plan_visual_tokens(vlm, size, None).n_tokens
    largest = max(native, plan_visual_tokens(vlm, size, MORE * native).n_tokens)
    tried = (plan_visual_tokens(vlm, size, max(1, round(share * largest))) for share in SHARES)
    asked = dict.fromkeys(setting.vision_tokens for setting in grid if setting.vision_tokens)
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
