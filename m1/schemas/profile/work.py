"""The work of a request, and the measured speed of the device."""

from m1.schemas.base import Amount, Positive, Record
from m1.schemas.profile.rows import ByStage
from m1.schemas.requests import Workload
from m1.schemas.settings import Setting


class StageWork(Record):
    """The operations and reads that a stage needs on any device; for decode, for one token."""

    operations: Amount
    """Number of additions and multiplications in matrix products, convolutions and attention."""
    weight_bytes: Amount
    """Bytes of the weights that these operations read."""
    cache_bytes: Amount
    """Bytes of the keys and values that these operations read. They are those of the prompt."""


class CellWork(Record):
    """The work of one request of a workload at one setting."""

    workload: Workload
    """Workload of the request."""
    request_id: str
    """Id of the request. Other requests differ by a few words."""
    setting: Setting
    """The setting."""
    stages: ByStage[StageWork]
    """The work of each stage."""


class DeviceRates(Record):
    """The speed of the device, measured in the same run."""

    copy_gb_per_s: Positive
    """Bytes that a copy within its memory reads and writes per second, in 10^9."""
    matrix_tflop_per_s: Positive
    """Operations per second in a large matrix product with the model's number type, in 10^12."""
