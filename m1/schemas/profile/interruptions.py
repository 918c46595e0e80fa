"""Measurements that something outside of the program interrupted."""

from m1.schemas.base import Record
from m1.schemas.profile.rows import Experiment
from m1.schemas.quantities import Count, Positive
from m1.schemas.requests import Workload


class Interruption(Record):
    """A measurement that was interrupted, and made again."""

    order: Count
    """Place of the request in the order of measurement."""
    experiment: Experiment
    """As in the rows."""
    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    total_ms: Positive
    """T_total of the interrupted measurement."""
    reason: str
    """What gave it away, in words."""
    kept: bool
    """Whether it is in the rows all the same, since each further attempt was interrupted, too."""
