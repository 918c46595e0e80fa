"""Choose how a mixture-of-experts layer computes the chosen experts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from m1.errors import UserError
from m1.vlm.structure import VlmStructure


def compute_experts(structure: VlmStructure, how: str) -> None:
    """Choose how experts are computed. A dense model is left as it is.

    Args:
        structure: the structure of the model.
        how: `eager` (a loop over experts), `batched_mm` or `grouped_mm`.

    Raises:
        UserError: if the model can compute its experts only in its own way.
    """
    if not structure.experts:
        return
    language_model: Any = structure.language_model
    try:
        language_model.set_experts_implementation(how)
    except ValueError:
        raise UserError(
            f"model.experts = {how}: {type(structure.model).__name__} computes its experts in one "
            "way only; set model.experts to eager"
        ) from None


@contextmanager
def experts_one_by_one(structure: VlmStructure) -> Iterator[None]:
    """Compute experts in a loop over the chosen ones, so that only their weights are read."""
    config: Any = structure.language_model.config
    before = config._experts_implementation
    compute_experts(structure, "eager")
    try:
        yield
    finally:
        if before != config._experts_implementation:
            compute_experts(structure, before)
