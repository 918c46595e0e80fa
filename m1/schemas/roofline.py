"""How near each stage comes to what the device can do."""

from collections.abc import Mapping
from typing import Literal

from m1.schemas.base import Record
from m1.schemas.estimates import Estimate
from m1.schemas.profile import Stage
from m1.schemas.requests import Workload
from m1.schemas.settings import Setting


class StageRoofline(Record):
    """A stage of one request, or one step of decode, against the device's ceilings."""

    operations: float
    """Additions and multiplications."""
    read_bytes: float
    """Bytes of weights, and of keys and values, that have to be read."""
    floor_ms: float
    """The larger of operations over the matrix rate and bytes over the bandwidth."""
    bound_by: Literal["operations", "bytes"]
    """Which of the two it is."""
    measured_ms: Estimate
    """Mean measured time."""
    over_floor: Estimate
    """Measured time over its floor: 1 is as fast as the device can be."""
    share_of_matrix_rate: float
    """Operations over measured time, as a share of the measured matrix rate."""
    share_of_bandwidth: float
    """Bytes over measured time, as a share of the measured bandwidth of a copy."""


class CellRoofline(Record):
    """The stages of a workload at one setting; decode is that of one token."""

    setting: Setting
    """The setting."""
    label: str
    """Its short name."""
    stages: dict[Stage, StageRoofline]
    """Each stage; decode is missing where outputs are single tokens, any other where nothing of it
    was counted."""


def cells_at(
    setting: Setting, roofline: Mapping[Workload, tuple[CellRoofline, ...]]
) -> dict[Workload, CellRoofline]:
    """The cells at a setting; without those whose work was not counted."""
    return {w: cell for w, cells in roofline.items() for cell in cells if cell.setting == setting}
