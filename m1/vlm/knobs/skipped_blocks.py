"""Leaving decoder blocks out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from m1.vlm.structure import VlmStructure


class LengthOnly(DynamicLayer):
    """The cache layer of a skipped block. It counts positions, but stores no keys and values.

    Models ask the first cache layer of each kind for the current position and the width of the
    mask, even if that block is skipped.
    """

    def __init__(self, n_positions: int) -> None:
        """Start with the positions that have passed already."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_positions = n_positions

    def get_seq_length(self) -> int:
        """Positions that have passed."""
        return self.n_positions


class SkippedBlock(nn.Module):
    """Replaces a decoder block by the identity, without computation or cache entry.

    It has the index of the block. So positions, masks, attention kinds and deep-stacked visual
    features of the other blocks stay correct.
    """

    def __init__(self, block: nn.Module, index: int) -> None:
        """Remember the block, unregistered, for the attributes that models read from it."""
        super().__init__()
        self.__dict__["block"] = block
        self.index = index

    def forward(
        self,
        hidden_states: Tensor,
        *_: object,
        past_key_values: Cache | None = None,
        **__: object,
    ) -> Tensor:
        """Pass the hidden states on."""
        if isinstance(past_key_values, DynamicCache):
            _count_positions(past_key_values, self.index, hidden_states.shape[-2])
        return hidden_states

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (as the block has it)
        """Other attributes, such as the attention kind, are those of the replaced block."""
        return getattr(self.__dict__["block"], name)


def _count_positions(cache: DynamicCache, index: int, n: int) -> None:
    """Add positions to the count of one cache layer."""
    while len(cache.layers) <= index:
        cache.layers.append(DynamicLayer())
    layer: Any = cache.layers[index]
    if isinstance(layer, LengthOnly):
        layer.n_positions += n
    elif hasattr(layer, "cumulative_length"):  # sliding windows keep count apart from keys
        layer.cumulative_length += n
    elif type(layer) is DynamicLayer:
        cache.layers[index] = LengthOnly(n)


@contextmanager
def only_active_blocks(structure: VlmStructure, n_active: int) -> Iterator[None]:
    """Keep some blocks, chosen by the structure's policy, and skip all others.

    Raises:
        KnobError: if that number of active blocks is not possible.
    """
    before = list(structure.block_list)
    stay = structure.blocks_that_stay(n_active)
    try:
        for index, block in enumerate(structure.blocks):
            structure.block_list[index] = block if index in stay else _stand_in(structure, index)
        yield
    finally:
        for index, block in enumerate(before):
            structure.block_list[index] = block


def _stand_in(structure: VlmStructure, index: int) -> nn.Module:
    block = structure.blocks[index]
    return structure.stand_ins.setdefault(index, SkippedBlock(block, index))
