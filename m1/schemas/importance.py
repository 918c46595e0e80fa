"""Scores of a model's decoder blocks, stored for later runs."""

from m1.schemas.base import Keyed, Record


class ImportanceKey(Record):
    """All that decides the scores of blocks. Random weights also differ between devices."""

    model_fingerprint: str
    """SHA-256 of everything that was loaded for the model."""
    requests: str
    """The requests that the blocks are scored with: their number and fingerprints."""
    device_type: str
    """`cpu` or `cuda`."""
    dtype: str
    """Number format of weights and arithmetic."""
    attention: str | None
    """Implementation of attention."""
    experts: str | None
    """Implementation of the experts; null in a dense model."""
    code: str
    """SHA-256 of the source code that makes scores."""
    versions: dict[str, str]
    """Versions of the libraries that make scores."""


class BlockImportance(Keyed):
    """How much each decoder block of a model changes the hidden states that pass through it."""

    key: ImportanceKey
    """The key of the scores."""
    n_requests: int
    """Number of requests."""
    scores: tuple[float, ...]
    """The score of each block. A block with score 0 changes nothing."""
