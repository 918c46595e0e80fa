"""Measurements that were interrupted from outside the program."""

from m1.schemas.base import Count, Positive, Record
from m1.schemas.profile.rows import Experiment
from m1.schemas.requests import Workload


class Interruption(Record):
    """A measurement that was interrupted, and repeated."""

    order: Count
    """Place of the request in the order of measurement."""
    experiment: Experiment
    """Experiment, as in the rows."""
    workload: Workload
    """Workload of the request."""
    request_id: str
    """Id of the request."""
    total_ms: Positive
    """T_total of the interrupted measurement."""
    reason: str
    """How the interruption was noticed, in words."""
    kept: bool
    """Whether the rows contain this measurement. This happens if it was the last allowed attempt
    and all attempts were interrupted."""
