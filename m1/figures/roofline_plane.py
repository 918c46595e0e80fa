"""The plane of a roofline plot: operations per byte against operations per second."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from m1.figures.style import STAGE_COLOURS, WORKLOAD_MARKERS
from m1.schemas.profile import STAGES, DeviceRates, Stage
from m1.schemas.requests import Workload
from m1.schemas.results.roofline import CellRoofline, StageRoofline

Cells = Mapping[Workload, CellRoofline]

MARKER_PT: dict[Workload, float] = {"qa": 4.5, "captioning": 8.0}  # one shows around the other
FAR = 4.0  # how many times the outermost value an axis goes
LONG = 50.0  # how many times the ridge each ceiling goes at least, to have room for its name
NAME_PT = 6.5


def draw_plane(axes: Axes, cells: Cells, rates: DeviceRates) -> None:
    """Both ceilings, and every stage with a thin line up to its floor."""
    matrix, ridge = _matrix_per_s(rates), _ridge_of(rates)
    stages = [one for cell in cells.values() for one in cell.stages.values()]
    axes.set(xscale="log", yscale="log")
    room = ridge / LONG * FAR, ridge * LONG / FAR
    axes.set_xlim(limits([*map(_intensity, stages), *room]))
    axes.set_ylim(limits([*map(_operations_per_s, stages), matrix]))
    left, right = axes.get_xlim()
    axes.plot([left, ridge, right], [roof(left, rates), matrix, matrix], color="black")
    # The larger marker first, so that the smaller one lies on it.
    for workload in sorted(cells, key=lambda w: -MARKER_PT[w]):
        for stage, one in cells[workload].stages.items():
            _draw_stage(axes, one, stage, workload)
    axes.set(xlabel="Operations per byte read", ylabel="Operations per second")
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.yaxis.set_major_formatter(EngFormatter())
    axes.grid()
    _name_stages(axes)


def _name_stages(axes: Axes) -> None:
    """The colours of the stages, above the panel."""
    dot: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 5,
        "markeredgewidth": 0,
    }
    axes.legend(
        handles=[Line2D([], [], **dot, color=STAGE_COLOURS[s], label=s) for s in STAGES],
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=len(STAGES),
        columnspacing=0.8,
        handlelength=0.8,
        handletextpad=0.4,
        borderpad=0.2,
    )


def _matrix_per_s(rates: DeviceRates) -> float:
    """The level ceiling, in operations per second."""
    return rates.matrix_tflop_per_s * 1e12


def _ridge_of(rates: DeviceRates) -> float:
    """Operations per byte from which the matrix rate is the lower ceiling."""
    return _matrix_per_s(rates) / (rates.copy_gb_per_s * 1e9)


def _intensity(one: StageRoofline) -> float:
    """Operations per byte."""
    return one.operations / one.read_bytes


def _operations_per_s(one: StageRoofline) -> float:
    """Operations per second in the mean time."""
    return one.operations / one.measured_ms.value * 1e3


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis that holds the values."""
    return min(values) / FAR, max(values) * FAR


def _draw_stage(axes: Axes, one: StageRoofline, stage: Stage, workload: Workload) -> None:
    """The measured rate, its interval, and a thin line up to the rate at the floor's time."""
    x, y, times = _intensity(one), _operations_per_s(one), one.measured_ms
    axes.vlines(x, y, y * one.over_floor.value, color=STAGE_COLOURS[stage], linewidth=0.8)
    slow, fast = y * times.value / times.high, y * times.value / times.low
    axes.errorbar(
        x,
        y,
        yerr=[[max(0.0, y - slow)], [max(0.0, fast - y)]],
        fmt=WORKLOAD_MARKERS[workload],
        markersize=MARKER_PT[workload],
        color=STAGE_COLOURS[stage],
        markeredgecolor="black",
        markeredgewidth=0.6,
        ecolor="black",
        elinewidth=0.9,
    )


def name_ceilings(axes: Axes, rates: DeviceRates) -> None:
    """Write each ceiling's name along the middle of its line.

    Call it when the layout is fixed: names follow the slopes on paper.
    """
    matrix, ridge = _matrix_per_s(rates), _ridge_of(rates)
    left, right = axes.get_xlim()
    _name_line(axes, rates, (left, ridge), f"bandwidth {_in_three_digits(matrix / ridge, 'B/s')}")
    _name_line(axes, rates, (ridge, right), f"matrix rate {_in_three_digits(matrix, 'op/s')}")


def _in_three_digits(value: float, unit: str) -> str:
    """A rate with a prefix, such as "4.27 TB/s"."""
    return str(EngFormatter(unit)(float(f"{value:.3g}")))


def _name_line(axes: Axes, rates: DeviceRates, ends: tuple[float, float], name: str) -> None:
    """Write above a straight piece of the roof, at its slope on paper."""
    start, end = axes.transData.transform([(x, roof(x, rates)) for x in ends])
    slope = math.atan2(end[1] - start[1], end[0] - start[0])
    middle = math.sqrt(ends[0] * ends[1])
    axes.annotate(
        name,
        (middle, roof(middle, rates)),
        (-2 * math.sin(slope), 2 * math.cos(slope)),
        textcoords="offset points",
        rotation=math.degrees(slope),
        rotation_mode="anchor",
        ha="center",
        va="bottom",
        size=NAME_PT,
    )


def roof(x: float, rates: DeviceRates) -> float:
    """The largest number of operations per second at `x` operations per byte."""
    return _matrix_per_s(rates) * min(1.0, x / _ridge_of(rates))
