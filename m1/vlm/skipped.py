"""Leaving decoder blocks out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from m1.vlm.structure import VlmStructure


class LengthOnly(DynamicLayer):
    """The cache layer of a skipped block: knows how many positions have passed, holds nothing.

    Models ask the cache's first layer of a kind where they are and how wide the mask must be,
    also when that block is skipped.
    """

    def __init__(self, n_positions: int) -> None:
        """Start with the positions that have passed already."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_positions = n_positions

    def get_seq_length(self) -> int:
        """Positions that have passed."""
        return self.n_positions


class SkippedBlock(nn.Module):
    """Stands in for a decoder block: the identity, without compute or cache entry.

    It stays at the block's index, so positions, masks, attention kinds and deep-stacked visual
    features of the others hold.
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
            count_positions(past_key_values, self.index, hidden_states.shape[-2])
        return hidden_states

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (as the block has it)
        """What the model asks of the block (its attention kind, say) is still the block's."""
        return getattr(self.__dict__["block"], name)


def count_positions(cache: DynamicCache, index: int, n: int) -> None:
    """Let one layer of a cache know that positions have passed it by."""
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
    """Skip all but some blocks, chosen by the structure's policy.

    Raises:
        KnobError: if that number cannot stay.
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
