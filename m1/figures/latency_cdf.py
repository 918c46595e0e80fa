"""E1: the distribution of latencies, with its percentiles."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from m1.figures.style import (
    WORKLOAD_COLOURS,
    WORKLOAD_DASHES,
    WORKLOAD_NAMES,
    add_legend,
    bracketed,
    new_figure,
    styled,
    whiskers,
)
from m1.schemas.base import Fraction, Positive, Record
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, LatencyDistribution, WorkloadContrast

PERCENTILES: dict[str, float] = {"P50": 0.5, "P95": 0.95, "P99": 0.99}
PERCENTILE_MARKERS: dict[str, str] = {"P50": "o", "P95": "^", "P99": "D"}
LOG_FROM_RATIO = 5.0  # of the longest latency to the shortest


class LatencyPoint(Record):
    """One step of an empirical distribution (a row of the plot data)."""

    workload: Workload
    """Whose latency."""
    latency_ms: Positive
    """Latency of a request."""
    share_of_requests: Fraction
    """Share of requests that took at most this long."""
    validity: str
    """The verdict on the run, in a few words."""


@styled
def draw_latency_cdf(contrast: WorkloadContrast, points: Sequence[LatencyPoint]) -> Figure:
    """Both workloads' distributions in one panel, with marked and listed percentiles."""
    sample = {w: sample_of(contrast.latency[w]) for w in WORKLOADS}
    figure = new_figure("E1: latency at the reference setting", contrast, sample, 3.3)
    axes = figure.subplots()
    _scale_axes(axes, [point.latency_ms for point in points])
    rows = [draw_workload(axes, contrast.latency[w], points, w) for w in WORKLOADS]
    # A legend fills column by column: this order gives each workload a row.
    add_legend(figure, [entry for column in zip(*rows, strict=True) for entry in column], 4)
    return figure


def sample_of(latency: LatencyDistribution) -> str:
    """The size of a sample, and whether requests or the machine make its tail."""
    causes = latency.variation.tail_cause if latency.variation else {}
    tail = [f"P{name[1:3]} made by the {cause}" for name, cause in causes.items()]
    return ", ".join([f"n = {latency.n} requests", *tail])


def draw_workload(
    axes: Axes,
    latency: LatencyDistribution,
    points: Sequence[LatencyPoint],
    workload: Workload,
) -> list[Artist]:
    """One workload's curve and percentiles, as entries of the legend."""
    own = [point for point in points if point.workload == workload]
    return [draw_steps(axes, own, workload), *_draw_percentiles(axes, latency, workload)]


def _scale_axes(axes: Axes, latencies: Sequence[float]) -> None:
    """Use a logarithmic axis for a wide range of latencies; name percentiles at the right edge."""
    if max(latencies) > LOG_FROM_RATIO * min(latencies):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="Total latency of a request (ms)", ylabel="Share of requests", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid()
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(PERCENTILES.values()), list(PERCENTILES), size=6.5)
    right.tick_params(length=2, pad=1)


def draw_steps(axes: Axes, points: Sequence[LatencyPoint], workload: Workload) -> Line2D:
    """The empirical distribution of one workload, from 0 at its shortest latency."""
    steps = sorted((point.latency_ms, point.share_of_requests) for point in points)
    (line,) = axes.step(
        [latency for latency, _ in steps[:1] + steps],
        [0.0] + [share for _, share in steps],
        where="post",
        color=WORKLOAD_COLOURS[workload],
        linestyle=WORKLOAD_DASHES[workload],
        label=WORKLOAD_NAMES[workload],
    )
    return line


def _draw_percentiles(axes: Axes, latency: LatencyDistribution, workload: Workload) -> list[Artist]:
    """A mark with its interval for each percentile; an empty entry for those not available."""
    estimates: Mapping[str, Estimate | None] = {
        "P50": latency.p50_ms,
        "P95": latency.p95_ms,
        "P99": latency.p99_ms,
    }
    return [
        _missing_percentile(name, latency)
        if estimate is None
        else draw_percentile(axes, name, estimate, workload)
        for name, estimate in estimates.items()
    ]


def draw_percentile(axes: Axes, name: str, estimate: Estimate, workload: Workload) -> Artist:
    """One percentile on the curve."""
    drawn = axes.errorbar(
        estimate.value,
        PERCENTILES[name],
        xerr=whiskers([estimate]),
        fmt=PERCENTILE_MARKERS[name],
        markersize=5,
        color=WORKLOAD_COLOURS[workload],
        markeredgecolor="black",
        markeredgewidth=0.5,
        ecolor="black",
        elinewidth=0.9,
        capsize=2,
        zorder=3,
    )
    mark = drawn.lines[0]
    assert mark is not None
    mark.set_label(f"{name} {bracketed(estimate, 'ms')}")
    return mark


def _missing_percentile(name: str, latency: LatencyDistribution) -> Artist:
    """An entry without a mark, which says why there is none."""
    reason = latency.not_available.get(f"{name.lower()}_ms", "too few requests")
    text = f"{name} not available: {reason}"
    return Line2D([], [], linestyle="none", label=textwrap.fill(text, 32))
