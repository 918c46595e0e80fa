"""The work of a request, and what the device can do."""

from m1.schemas.base import Record
from m1.schemas.profile.rows import ByStage
from m1.schemas.quantities import Amount, Positive
from m1.schemas.requests import Workload
from m1.schemas.settings import Setting


class StageWork(Record):
    """What a stage has to do and read, whatever computes it; of decode, for one token."""

    operations: Amount
    """Additions and multiplications in matrix products, convolutions and attention."""
    weight_bytes: Amount
    """Bytes of the weights that they read."""
    cache_bytes: Amount
    """Bytes of the keys and values that they read: those of the prompt."""


class CellWork(Record):
    """The work of one request of a workload at one setting."""

    workload: Workload
    """Whose request."""
    request_id: str
    """Which request; others differ by a few words."""
    setting: Setting
    """The setting."""
    stages: ByStage[StageWork]
    """The work of each stage."""


class DeviceRates(Record):
    """What the device can do, measured in the same run."""

    copy_gb_per_s: Positive
    """Bytes read and written per second by a copy within its memory, in 10^9."""
    matrix_tflop_per_s: Positive
    """Operations per second in a large matrix product at the model's arithmetic, in 10^12."""
