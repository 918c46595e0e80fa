"""Scores of a model's decoder blocks, stored for later runs."""

from m1.schemas.base import Record


class BlockImportance(Record):
    """How much each decoder block of a model changes the hidden states that pass through it."""

    fingerprint: str
    """Fingerprint of the model, of the way it was run, and of the requests that scored the
    blocks."""
    n_requests: int
    """Number of requests."""
    scores: tuple[float, ...]
    """The score of each block. A block with score 0 changes nothing."""
