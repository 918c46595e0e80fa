"""E2: how near each stage comes to the limits of the device."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from m1.figures.roofline_plane import draw_plane, name_ceilings
from m1.figures.style import (
    STAGE_COLOURS,
    WORKLOAD_MARKERS,
    WORKLOAD_NAMES,
    add_legend,
    bracketed,
    new_figure,
    styled,
    whiskers,
)
from m1.schemas.profile import STAGES, Stage
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import WorkloadContrast
from m1.schemas.results.roofline import CellRoofline, StageRoofline, cells_at

TITLE = "E2: how near each stage comes to what the device can do, reference setting"
OFFSETS: dict[Workload, float] = {"qa": -0.19, "captioning": 0.19}
FLOOR: dict[str, Any] = {"color": "black", "linewidth": 1.2}
FLOOR_NAME = "floor: operations at the matrix rate or bytes at the bandwidth, the slower of both"
DOT: dict[str, Any] = {"markersize": 5, "markeredgecolor": "black", "markeredgewidth": 0.6}


@styled
def draw_roofline(contrast: WorkloadContrast) -> Figure:
    """Left: the device's ceilings, and each stage below them. Right: each time over its floor."""
    sample = {w: f"n = {contrast.timed[w].n_requests} requests a setting" for w in WORKLOADS}
    figure = new_figure(TITLE, contrast, sample, 3.4)
    plane, floors = figure.subplots(1, 2, width_ratios=(1, 0.75))
    cells = cells_at(contrast.reference, contrast.roofline)
    draw_plane(plane, cells, contrast.device_rates)
    _draw_floors(floors, cells)
    add_legend(figure, legend_entries(), len(WORKLOADS) + 1)
    figure.draw_without_rendering()  # names follow slopes on paper
    name_ceilings(plane, contrast.device_rates)
    return figure


def legend_entries() -> list[Line2D]:
    """Shapes are workloads, the black line is the floor."""
    empty = DOT | {"linestyle": "none", "markerfacecolor": "white"}
    shapes = [
        Line2D([], [], **empty, marker=WORKLOAD_MARKERS[w], label=name)
        for w, name in WORKLOAD_NAMES.items()
    ]
    return [*shapes, Line2D([], [], **FLOOR, label=FLOOR_NAME)]


def _draw_floors(axes: Axes, cells: Mapping[Workload, CellRoofline]) -> None:
    """A row for each stage and workload: the stage's time as a multiple of its floor."""
    for row, stage in enumerate(STAGES):
        for workload, cell in cells.items():
            if stage in cell.stages:
                draw_floor(axes, cell.stages[stage], stage, workload, row + OFFSETS[workload])
    axes.axvline(1, **FLOOR)
    axes.set(xscale="log", xlabel="Measured time / floor (1: the device's limit)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(STAGES)), [*STAGES[:-1], "decode,\na token"])
    axes.set_ylim(len(STAGES) - 0.5, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    _write_beside(axes, -0.5, "times the floor, bound by")


def draw_floor(axes: Axes, one: StageRoofline, stage: Stage, workload: Workload, y: float) -> None:
    """A line from the floor to the measured time, and the numbers beside the panel."""
    times = one.over_floor
    axes.hlines(y, 1, times.value, color=STAGE_COLOURS[stage], linewidth=3.5)
    axes.errorbar(
        times.value,
        y,
        xerr=whiskers([times]),
        fmt=WORKLOAD_MARKERS[workload],
        color=STAGE_COLOURS[stage],
        ecolor="black",
        elinewidth=0.9,
        capsize=2,
        **DOT,
    )
    _write_beside(axes, y, f"{bracketed(times)} × {one.floor_ms:.3g} ms, {one.bound_by}")


def _write_beside(axes: Axes, y: float, text: str) -> None:
    """Write to the right of the panel, outside all bars."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(text, (1, y), (4, 0), **place, va="center", size=6.5)
