"""How close each stage is to the limits of the device."""

from collections.abc import Mapping
from typing import Literal

from m1.schemas.base import Record
from m1.schemas.profile import Stage
from m1.schemas.requests import Workload
from m1.schemas.results.estimates import Estimate
from m1.schemas.settings import Setting


class StageRoofline(Record):
    """A stage of one request, or one step of decode, compared with the limits of the device."""

    operations: float
    """Number of additions and multiplications."""
    read_bytes: float
    """Bytes of weights, and of keys and values, that must be read."""
    floor_ms: float
    """The longer of two times: operations divided by the matrix rate, and bytes divided by the
    bandwidth."""
    bound_by: Literal["operations", "bytes"]
    """Which of the two times is the longer one."""
    measured_ms: Estimate
    """Mean measured time."""
    over_floor: Estimate
    """Measured time divided by the floor. At 1, the device cannot be faster."""
    share_of_matrix_rate: float
    """Operations divided by measured time, as a share of the measured matrix rate."""
    share_of_bandwidth: float
    """Bytes divided by measured time, as a share of the measured bandwidth of a copy."""


class CellRoofline(Record):
    """The stages of a workload at one setting. For decode, the numbers are for one token."""

    setting: Setting
    """The setting."""
    label: str
    """Short name of the setting."""
    stages: dict[Stage, StageRoofline]
    """Each stage that has work. Decode is missing if outputs are single tokens."""


def cells_at(
    setting: Setting, roofline: Mapping[Workload, tuple[CellRoofline, ...]]
) -> dict[Workload, CellRoofline]:
    """The cells at a setting. Cells whose work was not counted are left out."""
    return {w: cell for w, cells in roofline.items() for cell in cells if cell.setting == setting}
