"""Scores of a model's decoder blocks, kept to be used again."""

from m1.schemas.base import Record


class BlockImportance(Record):
    """How much each decoder block of a model changes what passes through it."""

    fingerprint: str
    """Of the model, how it was run, and the requests that the blocks were scored by."""
    n_requests: int
    """Requests."""
    scores: tuple[float, ...]
    """One for each block; 0 changes nothing."""
