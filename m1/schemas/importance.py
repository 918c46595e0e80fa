"""Scores of a model's decoder blocks, which are kept to be used again."""

from m1.schemas.base import Keyed, Record


class BlockImportance(Record):
    """How much each decoder block of a model changes its input."""

    fingerprint: str
    """Fingerprint of the model, of how it was run, and of the requests used to score the blocks."""
    n_requests: int
    """Number of these requests."""
    scores: tuple[float, ...]
    """A score for each block. A block with score 0 changes nothing."""
