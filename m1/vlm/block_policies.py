"""Policies that choose the active decoder blocks."""

from collections.abc import Callable, Sequence

from m1.errors import UserError

BlockPolicy = Callable[[int, int, frozenset[int]], tuple[int, ...]]
"""Number of blocks, number that stay, indices that must stay -> indices that stay, ascending."""


class KnobError(UserError):
    """A knob value that the model does not support."""


def _check_active_blocks(n_blocks: int, n_active: int, required: frozenset[int]) -> None:
    """Check that a number of active blocks is possible.

    Raises:
        KnobError: if it is not; the message names the allowed numbers.
    """
    if not len(required) <= n_active <= n_blocks:
        always = ", ".join(map(str, sorted(required)))
        raise KnobError(
            f"knobs.active_blocks = {n_active}: the model has {n_blocks} blocks, of which {always} "
            f"always stay (counted from 0); allowed are {len(required)} to {n_blocks}"
        )


def evenly_spaced(n_blocks: int, n_active: int, required: frozenset[int]) -> tuple[int, ...]:
    """Blocks at even distances, the first and the last among them."""
    _check_active_blocks(n_blocks, n_active, required)
    step = (n_blocks - 1) / max(1, n_active - 1)
    stay = {round(i * step) for i in range(n_active)}
    for missing in sorted(required - stay):
        stay.remove(min(stay - required, key=lambda index: abs(index - missing)))
        stay.add(missing)
    return tuple(sorted(stay))


def first(n_blocks: int, n_active: int, required: frozenset[int]) -> tuple[int, ...]:
    """The first blocks and those that must stay."""
    return _by_rank(range(n_blocks))(n_blocks, n_active, required)


def _by_rank(ranking: Sequence[int]) -> BlockPolicy:
    """A policy that keeps the blocks that come first in a ranking of their indices."""

    def ranked(n_blocks: int, n_active: int, required: frozenset[int]) -> tuple[int, ...]:
        _check_active_blocks(n_blocks, n_active, required)
        others = [index for index in ranking if index not in required]
        return tuple(sorted([*required, *others[: n_active - len(required)]]))

    return ranked


def by_importance(scores: Sequence[float]) -> BlockPolicy:
    """A policy that keeps the blocks with the highest scores."""
    return _by_rank(sorted(range(len(scores)), key=lambda index: -scores[index]))
