"""E2: how the frontier over some knobs depends on the value of another."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from m1.figures.bars import say_not_varied
from m1.figures.pareto import draw_no_frontier
from m1.figures.style import (
    CAPTION_LINE_IN,
    KNOB_NAMES,
    TITLE_IN,
    WORKLOAD_COLOURS,
    WORKLOAD_HATCHES,
    WORKLOAD_NAMES,
    bracketed,
    new_figure,
    reserve_top,
    samples_of,
    styled,
    whiskers,
)
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import Frontier, FrontierPoint, WorkloadContrast
from m1.schemas.results.coupling import FixedKnob
from m1.schemas.settings import KNOBS, Knob

TITLE = "E2: the frontier over the other knobs, one knob fixed"
EXPLANATION = (
    "One line for each value of the knob, the first for the reference value. Below: latency needed "
    "for equal quality,\nagainst the reference value, mean over qualities that both reach, in "
    "points of the reference setting's latency."
)
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
SHORT_NAMES: dict[Knob, str] = {
    "vision_tokens": "visual tokens alone",
    "top_k": "top_k alone",
    "active_blocks": "blocks alone",
}


@styled
def draw_coupling(contrast: WorkloadContrast) -> Figure:
    """A row for each workload, with a panel for each knob. Below: each knob alone, and the grid."""
    frontiers = contrast.frontiers
    if frontiers is None:
        return draw_no_frontier(contrast, TITLE)
    figure = new_figure(TITLE, contrast, samples_of(frontiers), 6.8)
    explain(figure)
    grid = GridSpec(3, 6, figure, height_ratios=(1, 1, 0.5))
    for row, workload in enumerate(WORKLOADS):
        _draw_row(figure, grid, row, frontiers[workload])
        below = figure.add_subplot(grid[2, 3 * row : 3 * row + 3])
        _draw_areas(below, frontiers[workload])
        below.tick_params(axis="y", labelleft=row == 0)  # the same knobs in both
    return figure


def _draw_row(figure: Figure, grid: GridSpec, row: int, frontier: Frontier) -> None:
    """One workload's panels, on one scale."""
    first: Axes | None = None
    for column, knob in enumerate(KNOBS):
        axes = figure.add_subplot(grid[row, 2 * column : 2 * column + 2], sharey=first)
        _draw_fixed(axes, frontier, knob)
        axes.set_title(KNOB_NAMES[knob] if row == 0 else "")
        if first is None:
            axes.set_ylabel(f"{WORKLOAD_NAMES[frontier.workload]}\nQuality (% of reference)")
        else:
            axes.tick_params(axis="y", labelleft=False)
        first = first or axes


def explain(figure: Figure) -> None:
    """Explain the numbers below the panels, in two lines between title and panels."""
    top = 1 - TITLE_IN / figure.get_figheight()
    figure.text(0.01, top, EXPLANATION, va="top", size=7)
    reserve_top(figure, TITLE_IN + 2 * CAPTION_LINE_IN)


def _draw_fixed(axes: Axes, frontier: Frontier, knob: Knob) -> None:
    """The frontier at each value of a knob."""
    values = frontier.coupling.fixed.get(knob, ())
    if not values:
        say_not_varied(axes, getattr(frontier.reference, knob))
        return
    points = {point.label: point for point in frontier.points}
    for rank, fixed in enumerate(values):
        draw_steps(axes, [points[label] for label in fixed.labels], look(rank, len(values)))
        axes.lines[-1].set_label(f"{fixed.value}")
    axes.set_xlabel("\n".join(["Latency (% of reference)", *map(_shift_of, values[1:])]))
    axes.grid()
    axes.set_xlim(_latency_limits(frontier))
    axes.legend(loc="upper left", borderpad=0.2, handlelength=2.4)


def _latency_limits(frontier: Frontier) -> tuple[float, float]:
    """From the fastest to the slowest setting, in percent, the same for every panel of a row."""
    shares = [100 * point.latency_fraction.value for point in frontier.points]
    margin = 0.05 * (max(shares) - min(shares))
    return min(shares) - margin, max(shares) + margin


def look(rank: int, n: int) -> dict[str, Any]:
    """Colour, marker and dash of a value by its rank; the reference is darkest."""
    return {
        "color": colormaps["viridis"](0.85 * rank / max(1, n - 1)),
        "marker": MARKERS[rank % len(MARKERS)],
        "linestyle": DASHES[rank % len(DASHES)],
        "markersize": 3.5,
        "linewidth": 1.1,
    }


def draw_steps(axes: Axes, points: Sequence[FrontierPoint], style: Mapping[str, Any]) -> None:
    """A frontier as steps, each axis in percent of the reference setting."""
    latency = [100 * point.latency_fraction.value for point in points]
    quality = [100 * point.quality_fraction.value for point in points]
    axes.plot(latency, quality, drawstyle="steps-post", **style)


def _shift_of(fixed: FixedKnob) -> str:
    """How far a frontier lies from the reference value's, in points of percent."""
    shift = fixed.latency_shift
    value, low, high = (100 * end for end in (shift.value, shift.low, shift.high))
    return f"{fixed.value}: {value:+.1f} [{low:+.1f}, {high:+.1f}] points".replace("-", "−")


def _draw_areas(axes: Axes, frontier: Frontier) -> None:
    """The hypervolume of each knob alone and of the whole grid."""
    areas = {SHORT_NAMES[one.knob]: one.hypervolume for one in frontier.single_knob}
    areas["all knobs"] = frontier.hypervolume
    names, values = list(areas), list(areas.values())
    axes.barh(
        names,
        [area.value for area in values],
        xerr=whiskers(values),
        height=0.6,
        capsize=2,
        error_kw={"elinewidth": 0.9},
        facecolor=WORKLOAD_COLOURS[frontier.workload],
        hatch=WORKLOAD_HATCHES[frontier.workload],
        edgecolor="black",
        linewidth=0.5,
    )
    for name, area in areas.items():
        place = (max(area.value, area.high), name)
        text = bracketed(area)
        axes.annotate(text, place, (4, 0), textcoords="offset points", va="center", size=6.5)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="Hypervolume", xlim=(0, max(1.0, 1.35 * max(area.high for area in values))))
    axes.set_title(_gain_of(frontier), size=7.5)


def _gain_of(frontier: Frontier) -> str:
    """The gain of moving all knobs over moving only the best one."""
    name = WORKLOAD_NAMES[frontier.workload]
    gain = frontier.coupling.joint_gain
    if gain is None:
        return f"{name}\nno knob is varied"
    return f"{name}\nall knobs minus the best one alone: {bracketed(gain)}"
