"""Measurements that something outside of the program interrupted."""

from typing import Literal

from m1.schemas.base import Record
from m1.schemas.requests import Workload


class Interruption(Record):
    """A measurement that was interrupted, and made again."""

    order: int
    """Place of the request in the order of measurement."""
    experiment: Literal["e1", "e2", "observer", "repeat"]
    """As in the rows."""
    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    total_ms: float
    """T_total of the interrupted measurement."""
    reason: str
    """What gave it away, in words."""
    kept: bool
    """Whether it is in the rows all the same, since each further attempt was interrupted, too."""
