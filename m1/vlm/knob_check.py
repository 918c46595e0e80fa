"""Whether a model can take every value of every knob."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from m1.errors import Problems
from m1.images import open_image
from m1.schemas.settings import Setting
from m1.vlm.encoding import check_visual_tokens
from m1.vlm.knobs import check_top_k
from m1.vlm.loaded import LoadedVlm, Size


def check_knobs(vlm: LoadedVlm, grid: Sequence[Setting], sizes: Sequence[Size]) -> None:
    """Refuse settings that the model cannot take, before anything is measured.

    Args:
        vlm: the model.
        grid: all settings.
        sizes: of the images, the commonest first.

    Raises:
        UserError: with a line for each value of each knob, and for each size, that it cannot take.
    """
    problems = Problems()
    for top_k in dict.fromkeys(one.top_k for one in grid if one.top_k):
        with problems.noted():
            check_top_k(vlm.structure, top_k)
    for n_active in dict.fromkeys(one.active_blocks for one in grid if one.active_blocks):
        with problems.noted():
            vlm.structure.blocks_that_stay(n_active)
    with problems.noted():
        check_visual_tokens(vlm, grid, sizes)
    problems.refuse()


def sizes_of(images: Iterable[tuple[Path, str]]) -> list[Size]:
    """Sizes of images, each named by the folder of a request set and its path there.

    Returns:
        Width and height in pixels, the commonest first.
    """
    counted = Counter(open_image(*place).size for place in sorted(set(images)))
    return [size for size, _ in counted.most_common()]
