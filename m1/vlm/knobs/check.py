"""Check that a model supports every value of every knob."""

from collections.abc import Sequence

from m1.errors import Problems
from m1.schemas.settings import Setting
from m1.vlm.knobs.apply import check_top_k
from m1.vlm.model import LoadedVlm
from m1.vlm.pictures import Picture, picture_problems


def check_knobs(vlm: LoadedVlm, grid: Sequence[Setting], pictures: Sequence[Picture]) -> None:
    """Refuse settings that the model does not support, before anything is measured.

    Args:
        vlm: the model.
        grid: all settings.
        pictures: all pictures that will be measured.

    Raises:
        UserError: if something is not supported; with a line for each such value, and for each
            kind of mistake of pictures.
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
