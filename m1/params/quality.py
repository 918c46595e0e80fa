"""Section `quality`: answers that are scored."""

from m1.params.numbers import PerWorkload, PositiveInt
from m1.schemas.base import Record


class QualityParams(Record):
    """Section `quality`: what is answered in batches, apart from the rows that are timed."""

    n_requests: PerWorkload
    """Requests answered at each setting of the grid."""
    batch_size: PositiveInt
    """Requests answered at once."""
