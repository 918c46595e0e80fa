"""How near each stage comes to the limits of the device."""

from collections.abc import Mapping

from rich.table import Table

from m1.schemas.profile import STAGES, DeviceRates, Stage
from m1.schemas.requests import Workload
from m1.schemas.results.roofline import CellRoofline
from m1.show.numbers import with_interval

NAMES: dict[Stage, str] = {stage: stage for stage in STAGES} | {"decode": "decode, a token"}


def roofline_table(cells: Mapping[Workload, CellRoofline], rates: DeviceRates) -> Table:
    """Measured time over its floor, and the floor itself; a column for each workload."""
    ceilings = f"{rates.matrix_tflop_per_s:.3g} TFLOP/s and {rates.copy_gb_per_s:.4g} GB/s"
    table = Table("", *cells, title=f"Times the floor by {ceilings}, reference setting")
    for stage in STAGES:
        table.add_row(NAMES[stage], *(times_of(cell, stage) for cell in cells.values()))
        table.add_row("  floor, bound by", *(floor_of(cell, stage) for cell in cells.values()))
    return table


def times_of(cell: CellRoofline, stage: Stage) -> str:
    """Measured time over its floor; outputs of single tokens have no decode."""
    one = cell.stages.get(stage)
    if one is None:
        return "no decode step" if stage == "decode" else "no work counted"
    return with_interval(one.over_floor, ".2f")


def floor_of(cell: CellRoofline, stage: Stage) -> str:
    """The floor, and whether operations or bytes decide it."""
    one = cell.stages.get(stage)
    return "" if one is None else f"{one.floor_ms:.3g} ms, {one.bound_by}"
