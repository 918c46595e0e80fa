"""Fewer visual tokens: averages over neighbouring visual features."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from m1.vlm.block_policies import KnobError
from m1.vlm.structure import VlmStructure, inner_model

# Part of the names of inputs that hold the grid of an image's patches.
GRID = "grid_thw"


def _grid_of(n_native: int, n_tokens: int) -> tuple[int, int] | None:
    """Height and width of the grid nearest to a number of tokens, square or one column wider.

    Args:
        n_native: visual tokens of the model.
        n_tokens: the number wanted, fewer than the model's.

    Returns:
        `None` if the model's tokens do not form a square grid.
    """
    side = math.isqrt(n_native)
    if side**2 != n_native:
        return None
    grids = [(h, w) for h in range(1, side + 1) for w in (h, h + 1) if w <= side]
    return min(grids, key=lambda grid: abs(math.prod(grid) - n_tokens))


def n_pooled(n_native: int, n_tokens: int) -> int:
    """The number of tokens after pooling: the wanted number, or the nearest possible one."""
    if n_tokens >= n_native:
        return n_native
    grid = _grid_of(n_native, n_tokens)
    return math.prod(grid) if grid else n_tokens


def pool_to(features: Tensor, n_tokens: int) -> Tensor:
    """Average visual features over their square grid, or along the sequence if there is no grid.

    Args:
        features: ... x tokens x channels, the tokens in reading order.
        n_tokens: the number wanted.

    Returns:
        ... x `n_pooled(tokens, n_tokens)` x channels.
    """
    n_native = features.shape[-2]
    if n_tokens >= n_native:
        return features
    columns = features.transpose(-1, -2)
    grid = _grid_of(n_native, n_tokens)
    if grid is None:
        return _pool(columns, torch.nn.functional.adaptive_avg_pool1d, n_tokens)
    side = math.isqrt(n_native)
    rows = columns.unflatten(-1, (side, side))
    return _pool(rows, torch.nn.functional.adaptive_avg_pool2d, grid, 2)


def _pool(
    columns: Tensor, pool: Callable[..., Tensor], size: int | tuple[int, int], n_axes: int = 1
) -> Tensor:
    """Pool the last axes of channels x positions; the other axes are a batch."""
    lead = columns.shape[: -1 - n_axes]
    pooled = pool(columns.reshape(-1, *columns.shape[-1 - n_axes :]), size)
    return pooled.reshape(*lead, pooled.shape[1], -1).transpose(-1, -2)


def pool_images(features: Tensor, n_images: int, n_tokens: int) -> Tensor:
    """Pool the features of each image, which may be cut into tiles.

    Args:
        features: tiles x tokens x channels or tokens x channels, images one after another.
        n_images: number of images; all have as many features.
        n_tokens: visual tokens wanted for each image.

    Returns:
        images x tokens x channels, or tokens x channels if the input has two dimensions.

    Raises:
        KnobError: if the images do not have the same number of features.
    """
    total, channels = math.prod(features.shape[:-1]), features.shape[-1]
    if total % n_images:
        raise KnobError(f"{total} visual features do not belong to {n_images} equal images")
    per_image = features.reshape(n_images, total // n_images, channels)
    n = n_pooled(per_image.shape[1], n_tokens)
    if n == per_image.shape[1]:
        return features
    whole = features.ndim == 3 and features.shape[0] == n_images
    pooled = pool_to(per_image, n) if whole else _along_sequence(per_image, n)
    return pooled if features.ndim == 3 else pooled.flatten(0, 1)


def _pool_parts(
    features: Tensor | Sequence[Tensor], n_images: int, n_tokens: int
) -> Tensor | list[Tensor]:
    """Pool features in one tensor, in one tensor for each image, or in one for each tile.

    Args:
        features: a tensor as in `pool_images`, or several of tokens x channels.
        n_images: number of images.
        n_tokens: visual tokens wanted for each image.
    """
    if isinstance(features, Tensor):
        return pool_images(features, n_images, n_tokens)
    if len(features) == n_images:
        return [pool_to(part, n_tokens) for part in features]
    return [pool_images(torch.cat(list(features)), n_images, n_tokens)]


def _along_sequence(features: Tensor, n: int) -> Tensor:
    pooled = torch.nn.functional.adaptive_avg_pool1d(features.transpose(-1, -2), n)
    return pooled.transpose(-1, -2)


@contextmanager
def batch_of(structure: VlmStructure, n: int) -> Iterator[None]:
    """Set the number of requests for `generate`, which encodes images before it runs the model."""
    before = structure.batch.n
    structure.batch.n = n
    try:
        yield
    finally:
        structure.batch.n = before


@contextmanager
def pooled_visual_tokens(structure: VlmStructure, n_tokens: int) -> Iterator[None]:
    """Pool the visual features of every image to a number of tokens."""

    def count_requests(_: nn.Module, __: object, inputs: dict[str, Any]) -> None:
        structure.batch.n = len(inputs["input_ids"])

    def pool(features: Tensor) -> Tensor:
        return pool_images(features, structure.batch.n, n_tokens)

    def pool_input(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (pool(args[0]), *args[1:])

    def pool_output(output: Any) -> Any:  # noqa: ANN401 (a model output)
        output.pooler_output = _pool_parts(output.pooler_output, structure.batch.n, n_tokens)
        return output

    with ExitStack() as undo:
        undo.enter_context(batch_of(structure, structure.batch.n))
        undo.callback(
            structure.model.register_forward_pre_hook(count_requests, with_kwargs=True).remove
        )
        if structure.pooling == "before_projector":
            for projector in structure.projectors:
                undo.callback(projector.register_forward_pre_hook(pool_input).remove)
        elif structure.pooling == "at_merge":
            undo.enter_context(intercepted_features(structure, pool_output))
        yield


@contextmanager
def intercepted_features(structure: VlmStructure, change: Callable[[Any], Any]) -> Iterator[None]:
    """Pass what the model's `get_image_features` returns through a function.

    The changed method is set on the instance, where the model's own forward finds it. It is removed
    afterwards.
    """
    owner: Any = inner_model(structure.model)
    method = getattr(owner, "get_image_features", None)
    shadowed = vars(owner).get("get_image_features")
    if method is None:
        yield
        return

    # `generate` looks at the method's signature.
    @wraps(method)
    def changed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return change(method(*args, **kwargs))

    owner.get_image_features = changed
    try:
        yield
    finally:
        if shadowed is None:
            del owner.get_image_features
        else:
            owner.get_image_features = shadowed


def count_features(features: Any) -> int:  # noqa: ANN401 (a tensor, several, or something else)
    """Visual features in a tensor of ... x channels, or in a list of them; 0 in anything else."""
    if isinstance(features, Tensor):
        return math.prod(features.shape[:-1])
    if isinstance(features, list | tuple):
        return sum(map(count_features, features))
    return 0
