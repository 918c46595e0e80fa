"""How the device bounds a run: limits of each stage, parts of decode time, areas of frontiers."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from m1.schemas.profile import STAGES, DeviceRates, Stage
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Frontier, WorkloadContrast
from m1.schemas.results.decode import DecodeSplit, DecodeSplits
from m1.schemas.results.roofline import CellRoofline
from m1.schemas.settings import KNOBS
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


NO_STEP = "no decode step"


def decode_table(result: WorkloadContrast) -> Table:
    """Each knob alone at its smallest value, and all together; a column for each workload."""
    splits = result.decode_split
    title = f"Change of decode time from the reference setting {result.reference.label}"
    table = Table("", *WORKLOADS, title=title)
    for row in _reference_rows(splits):
        table.add_row(*row)
    for both in zip(*(smallest(splits[w]) for w in WORKLOADS), strict=True):
        table.add_section()
        for row in _split_rows(both):
            table.add_row(*row)
    return table


def _reference_rows(splits: Mapping[Workload, DecodeSplits]) -> Iterator[tuple[str, ...]]:
    """Rows about the reference: the number of steps, and the time of a step."""
    both = [splits[w] for w in WORKLOADS]
    yield "steps at the reference", *(with_interval(s.reference_n_steps, ".1f") for s in both)
    yield "ms a step", *(_part_told(s.reference_ms_per_step, ".2f") for s in both)


def smallest(splits: DecodeSplits) -> Iterator[DecodeSplit]:
    """Each knob alone at its smallest value; and all together, if that was measured."""
    ends = {knob: splits.knobs[knob][-1] for knob in KNOBS if splits.knobs.get(knob)}
    yield from ends.values()
    if len(ends) > 1:
        lowest = {knob: getattr(split.setting, knob) for knob, split in ends.items()}
        yield from (s for s in splits.settings if lowest.items() <= s.setting.model_dump().items())


def _split_rows(both: tuple[DecodeSplit, ...]) -> Iterator[tuple[str, ...]]:
    """The change of each workload at a setting, and the parts that sum to it."""
    percents = [split.percent for split in both]
    for part, name in (
        ("change", f"{both[0].label}, %"),
        ("length", "  by length of outputs"),
        ("speed", "  by speed of tokens"),
    ):
        yield name, *(_part_told(getattr(percent, part, None), "+.1f") for percent in percents)


def _part_told(estimate: Estimate | None, form: str) -> str:
    """A number, or a text that outputs of single tokens have none."""
    return NO_STEP if estimate is None else with_interval(estimate, form)


def coupling_table(frontiers: Mapping[Workload, Frontier]) -> Table:
    """The area of the frontier over each knob alone and over all; a column for each workload."""
    table = Table("", *WORKLOADS, title="Area of the frontier (hypervolume)")
    areas = {w: _areas_of(frontiers[w]) for w in WORKLOADS}
    for name in areas["qa"]:
        table.add_row(name, *(_area_told(areas[w][name]) for w in WORKLOADS))
    return table


def _areas_of(frontier: Frontier) -> dict[str, Estimate | None]:
    """Areas by the moving knobs; `None` if a knob has a single value."""
    alone = {one.knob: one.hypervolume for one in frontier.single_knob}
    return {
        **{f"{knob} alone": alone.get(knob) for knob in KNOBS},
        "all knobs": frontier.hypervolume,
        "all minus the best alone": frontier.coupling.joint_gain,
    }


def _area_told(area: Estimate | None) -> str:
    """An area, or a text that there is none."""
    return "not varied" if area is None else with_interval(area, ".2f")
