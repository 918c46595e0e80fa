"""The area of the frontier that one knob reaches alone, and that all knobs reach."""

from collections.abc import Mapping

from rich.table import Table

from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Frontier
from m1.schemas.settings import KNOBS
from m1.show.numbers import with_interval


def coupling_table(frontiers: Mapping[Workload, Frontier]) -> Table:
    """The area of the frontier over each knob alone and over all; a column for each workload."""
    table = Table("", *WORKLOADS, title="Area of the frontier (hypervolume)")
    areas = {w: _areas_of(frontiers[w]) for w in WORKLOADS}
    for name in areas["qa"]:
        table.add_row(name, *(said(areas[w][name]) for w in WORKLOADS))
    return table


def _areas_of(frontier: Frontier) -> dict[str, Estimate | None]:
    """Areas by the moving knobs; `None` if a knob has a single value."""
    alone = {one.knob: one.hypervolume for one in frontier.single_knob}
    return {
        **{f"{knob} alone": alone.get(knob) for knob in KNOBS},
        "all knobs": frontier.hypervolume,
        "all minus the best alone": frontier.coupling.joint_gain,
    }


def said(area: Estimate | None) -> str:
    """An area, or a text that there is none."""
    return "not varied" if area is None else with_interval(area, ".2f")
