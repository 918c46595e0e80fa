"""Set the knobs of a model, and restore them."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from m1.schemas.settings import Setting
from m1.vlm.block_policies import KnobError
from m1.vlm.knobs.pooling import pooled_visual_tokens
from m1.vlm.knobs.skipped_blocks import only_active_blocks
from m1.vlm.structure import VlmStructure


@contextmanager
def applied(structure: VlmStructure, setting: Setting) -> Iterator[None]:
    """Keep the model at a setting inside the block. Afterwards it is restored, also after an error.

    Visual tokens also concern the encoding (`m1.vlm.encoding`), which leaves the same number of
    places in the prompt.

    Raises:
        KnobError: if the model does not support a value.
    """
    with ExitStack() as undo:
        if setting.active_blocks is not None:
            undo.enter_context(only_active_blocks(structure, setting.active_blocks))
        if setting.top_k is not None:
            undo.enter_context(_top_k(structure, setting.top_k))
        if setting.vision_tokens is not None:
            undo.enter_context(pooled_visual_tokens(structure, setting.vision_tokens))
        yield


def kept_blocks(structure: VlmStructure, grid: Iterable[Setting]) -> dict[str, tuple[int, ...]]:
    """Each number of active blocks in a grid, with the indices of these blocks.

    Raises:
        KnobError: if such a number is not possible.
    """
    numbers = {one.active_blocks for one in grid if one.active_blocks is not None}
    return {str(n): structure.blocks_that_stay(n) for n in sorted(numbers)}


def check_top_k(structure: VlmStructure, top_k: int) -> None:
    """Check that a model supports a number of experts per token.

    Raises:
        KnobError: if it does not; the message names the allowed numbers.
    """
    if not structure.top_k_holders:
        raise KnobError("knobs.top_k: the model has no experts; set knobs.top_k to null")
    native = min(holder.value for holder in structure.top_k_holders)
    if not 1 <= top_k <= native:
        raise KnobError(f"knobs.top_k = {top_k}: allowed are 1 to {native} on this model")


@contextmanager
def _top_k(structure: VlmStructure, top_k: int) -> Iterator[None]:
    check_top_k(structure, top_k)
    holders = structure.top_k_holders
    native = [holder.value for holder in holders]
    try:
        for holder in holders:
            holder.set(top_k)
        yield
    finally:
        for holder, value in zip(holders, native, strict=True):
            holder.set(value)
