"""Turning the knobs of a model, and back again."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from m1.errors import UserError
from m1.schemas.settings import Setting
from m1.vlm.structure import VlmStructure, router_top_k


class KnobError(UserError):
    """A knob value that the model cannot take."""


class SkippedBlock(nn.Module):
    """Stands in for a decoder block: the identity, without compute or cache entry.

    It stays at the block's index, so positions, masks and attention kinds of the others hold.
    """

    def __init__(self, block: nn.Module) -> None:
        """Remember the block, unregistered, for the attributes that models read from it."""
        super().__init__()
        self.__dict__["block"] = block

    def forward(self, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        """Pass the hidden states on."""
        return hidden_states

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (as the block has it)
        """What the model asks of the block (its attention kind, say) is still the block's."""
        return getattr(self.__dict__["block"], name)


def evenly_spaced_blocks(n_blocks: int, n_active: int) -> tuple[int, ...]:
    """Indices of the blocks that stay: evenly spaced, the first and the last among them.

    Raises:
        KnobError: if `n_active` is not between 2 and `n_blocks` (or both are 1).
    """
    if not min(2, n_blocks) <= n_active <= n_blocks:
        raise KnobError(
            f"knobs.active_blocks = {n_active}: the model has {n_blocks} blocks, of which the "
            f"first and the last always stay; allowed are {min(2, n_blocks)} to {n_blocks}"
        )
    if n_active == 1:
        return (0,)
    step = (n_blocks - 1) / (n_active - 1)
    return tuple(round(i * step) for i in range(n_active))


def pool_to(features: Tensor, n_tokens: int) -> Tensor:
    """Average visual features over their square grid.

    Args:
        features: batch x tokens x channels, the tokens in reading order of a square grid.
        n_tokens: a square number.

    Returns:
        batch x n_tokens x channels.

    Raises:
        KnobError: as `check_grid_size`.
    """
    check_grid_size(features.shape[-2], n_tokens)
    side, target = math.isqrt(features.shape[-2]), math.isqrt(n_tokens)
    grid = features.transpose(-1, -2).unflatten(-1, (side, side))
    pooled = torch.nn.functional.adaptive_avg_pool2d(grid, target)
    return pooled.flatten(-2).transpose(-1, -2)


def check_grid_size(n_native: int, n_tokens: int) -> None:
    """Whether visual tokens can be pooled to a number.

    Raises:
        KnobError: if either number is not a square, or the model has fewer.
    """
    sides = math.isqrt(n_native), math.isqrt(n_tokens)
    if (sides[0] ** 2, sides[1] ** 2) == (n_native, n_tokens) and n_tokens <= n_native:
        return
    allowed = ", ".join(str(side**2) for side in range(sides[0], 0, -1))
    raise KnobError(
        f"knobs.vision_tokens = {n_tokens}: the model has {n_native} visual tokens, which are "
        f"pooled on a square grid; allowed are {allowed}"
    )


def check_setting(structure: VlmStructure, setting: Setting, n_native_visual: int) -> None:
    """Whether the model can take a setting, without running it.

    Raises:
        KnobError: naming the knob, its value and what is allowed.
    """
    if setting.vision_tokens is not None:
        check_grid_size(n_native_visual, setting.vision_tokens)
    with applied(structure, setting):
        pass


@contextmanager
def applied(structure: VlmStructure, setting: Setting) -> Iterator[None]:
    """Hold the model at a setting; on leaving, also by an error, it is as it was before.

    Raises:
        KnobError: if the model cannot take a value.
    """
    with ExitStack() as undo:
        if setting.active_blocks is not None:
            undo.enter_context(_active_blocks(structure, setting.active_blocks))
        if setting.top_k is not None:
            undo.enter_context(_top_k(structure, setting.top_k))
        if setting.vision_tokens is not None:
            undo.enter_context(_vision_tokens(structure, setting.vision_tokens))
        yield


@contextmanager
def _active_blocks(structure: VlmStructure, n_active: int) -> Iterator[None]:
    blocks = structure.blocks
    originals = list(blocks)
    stay = evenly_spaced_blocks(len(originals), n_active)
    try:
        for index, block in enumerate(originals):
            if index not in stay:
                blocks[index] = SkippedBlock(block)
        yield
    finally:
        for index, block in enumerate(originals):
            blocks[index] = block


@contextmanager
def _top_k(structure: VlmStructure, top_k: int) -> Iterator[None]:
    routers: tuple[Any, ...] = structure.routers
    if not routers:
        raise KnobError(f"knobs.top_k = {top_k}: the model has no experts; set knobs.top_k to null")
    native = [router_top_k(router) for router in routers]
    if not 1 <= top_k <= min(native):
        raise KnobError(f"knobs.top_k = {top_k}: allowed are 1 to {min(native)} on this model")
    try:
        for router in routers:
            router.top_k = top_k
        yield
    finally:
        for router, value in zip(routers, native, strict=True):
            router.top_k = value


@contextmanager
def _vision_tokens(structure: VlmStructure, n_tokens: int) -> Iterator[None]:
    def pool(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if args[0].shape[-2] == n_tokens:
            return args
        return (pool_to(args[0], n_tokens), *args[1:])

    hooks = [projector.register_forward_pre_hook(pool) for projector in structure.projectors]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
