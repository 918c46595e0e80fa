"""E2: quality and latency of every setting, and the settings that no other dominates."""

import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from m1.figures.labels import label_points
from m1.figures.missing import note_missing
from m1.figures.style import (
    WORKLOAD_COLOURS,
    WORKLOAD_MARKERS,
    WORKLOAD_NAMES,
    add_legend,
    bracketed,
    new_figure,
    samples_of,
    styled,
    whiskers,
)
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import Frontier, FrontierPoint, WorkloadContrast

PALE = "#9A9A9A"
LARGEST_PT = 7.0
SMALLEST_PT = 2.5
DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "black"}
RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.0,
}


def size_of(share: float) -> float:
    """Diameter in points for a share of resamples on the frontier."""
    return SMALLEST_PT + (LARGEST_PT - SMALLEST_PT) * share


def legend_entries() -> list[Line2D]:
    """The meaning of fill, ring and size, in a colour that no workload has."""
    dominated = DOT | {"color": PALE, "markerfacecolor": "white"}
    return [
        Line2D([], [], **DOT, markersize=5, label="on the frontier"),
        Line2D([], [], **dominated, markersize=5, label="dominated"),
        Line2D([], [], **RING, label="reference setting"),
        Line2D([], [], color="black", label="frontier"),
        *(
            Line2D(
                [],
                [],
                **DOT,
                markersize=size_of(share),
                label=f"size: on it in {100 * share:.0f} % of resamples",
            )
            for share in (0.0, 0.5, 1.0)
        ),
    ]


Line = tuple[tuple[float, float], tuple[float, float]]

TITLE = "E2: quality against latency"
QUALITY_NAMES = {"vqa_accuracy": "VQA accuracy (0 to 1)", "cider_d": "CIDEr-D (0 to 10)"}


@styled
def draw_pareto(contrast: WorkloadContrast) -> Figure:
    """Both workloads side by side, all settings and the frontier."""
    frontiers = contrast.frontiers
    if frontiers is None:
        return draw_no_frontier(contrast, TITLE)
    figure = new_figure(TITLE, contrast, samples_of(frontiers), 3.9)
    panels = figure.subplots(1, len(WORKLOADS))
    for axes, workload in zip(panels, WORKLOADS, strict=True):
        _draw_frontier(axes, frontiers[workload])
        note_missing(axes, frontiers[workload], contrast.failed)
    add_legend(figure, legend_entries(), 4)
    figure.draw_without_rendering()  # labels need to know where the points end up
    for axes, workload in zip(panels, WORKLOADS, strict=True):
        _label_frontier(axes, frontiers[workload])
    return figure


REASON_CHARACTERS = 80


def draw_no_frontier(contrast: WorkloadContrast, title: str) -> Figure:
    """The figure without panels, with the reason."""
    sample = {w: f"n = {contrast.timed[w].n_requests} requests timed" for w in WORKLOADS}
    figure = new_figure(title, contrast, sample, 1.6)
    axes = figure.subplots()
    axes.set_axis_off()
    reason = textwrap.fill(str(contrast.quality_not_available), REASON_CHARACTERS)
    text = f"No frontier: quality is not available.\n{reason}"
    axes.text(0.5, 0.5, text, ha="center", va="center", size=9, transform=axes.transAxes)
    return figure


def _draw_frontier(axes: Axes, frontier: Frontier) -> None:
    """One workload: the dominated settings pale, the frontier as steps, the reference ringed."""
    colour = WORKLOAD_COLOURS[frontier.workload]
    marker = WORKLOAD_MARKERS[frontier.workload]
    for point in frontier.points:
        _draw_point(axes, point, colour if point.on_frontier else PALE, marker)
    best = members(frontier)
    axes.step(latencies(best), qualities(best), where="post", color=colour, zorder=2)
    ring = [point for point in frontier.points if point.setting == frontier.reference]
    axes.plot(latencies(ring), qualities(ring), **RING, zorder=4)
    axes.set_title(WORKLOAD_NAMES[frontier.workload], pad=16)
    axes.annotate(
        _steepness_of(frontier),
        (0.5, 1),
        (0, 5),
        "axes fraction",
        "offset points",
        ha="center",
        size=7,
    )
    axes.set_xlabel(f"{frontier.latency_statistic.capitalize()} latency (ms)")
    axes.set_ylabel(QUALITY_NAMES.get(frontier.quality_metric, frontier.quality_metric))
    axes.grid()
    axes.margins(0.12)  # room for the labels


def members(frontier: Frontier) -> list[FrontierPoint]:
    """The frontier's points, fastest first."""
    best = [point for point in frontier.points if point.on_frontier]
    return sorted(best, key=lambda point: point.latency_ms.value)


def latencies(points: Iterable[FrontierPoint]) -> list[float]:
    """Latencies in ms."""
    return [point.latency_ms.value for point in points]


def qualities(points: Iterable[FrontierPoint]) -> list[float]:
    """Qualities, in the unit of their metric."""
    return [point.quality.value for point in points]


def _draw_point(axes: Axes, point: FrontierPoint, colour: str, marker: str) -> None:
    """One setting: filled on the frontier, else hollow. The size shows its share of resamples."""
    axes.errorbar(
        point.latency_ms.value,
        point.quality.value,
        xerr=whiskers([point.latency_ms]),
        yerr=whiskers([point.quality]),
        fmt=marker,
        markersize=size_of(point.frontier_share),
        color=colour,
        markerfacecolor=colour if point.on_frontier else "white",
        elinewidth=0.8 if point.on_frontier else 0.4,
        alpha=1.0 if point.on_frontier else 0.75,
        zorder=3 if point.on_frontier else 1,
    )


def _steepness_of(frontier: Frontier) -> str:
    """The frontier's steepness, or why it has none."""
    slope = frontier.steepness
    if slope is None:
        return "steepness undefined: no setting is surely faster"
    return f"steepness {bracketed(slope)} (quality lost / latency saved)"


def _label_frontier(axes: Axes, frontier: Frontier) -> None:
    """Name the settings on the frontier."""
    best = members(frontier)
    places = list(zip(latencies(best), qualities(best), strict=True))
    dots = [_dot_box(axes, point) for point in frontier.points]
    lines = [_line_box(axes, line) for point in best for line in _whiskers_of(point)]
    steps = [_line_box(axes, line) for pair in pairwise(places) for line in _steps_of(*pair)]
    label_points(axes, places, [point.label for point in best], dots + lines + steps)


def _dot_box(axes: Axes, point: FrontierPoint) -> Bbox:
    """The area of a point, in pixels."""
    place = axes.transData.transform((point.latency_ms.value, point.quality.value))
    radius = size_of(point.frontier_share) / 2 * axes.figure.dpi / 72
    return Bbox([place, place]).padded(radius + 1)


def _line_box(axes: Axes, line: Line) -> Bbox:
    """The area of a horizontal or vertical line, in pixels."""
    start, end = axes.transData.transform(line)
    return Bbox([np.minimum(start, end), np.maximum(start, end)]).padded(1.5)


def _whiskers_of(point: FrontierPoint) -> tuple[Line, Line]:
    """Both intervals of a point."""
    x, y = point.latency_ms, point.quality
    return ((x.low, y.value), (x.high, y.value)), ((x.value, y.low), (x.value, y.high))


def _steps_of(left: tuple[float, float], right: tuple[float, float]) -> tuple[Line, Line]:
    """The frontier between two points: horizontal at the left point's quality, then up."""
    corner = (right[0], left[1])
    return (left, corner), (corner, right)
