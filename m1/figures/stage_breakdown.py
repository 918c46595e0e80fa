"""E1: the time and the share of each stage, and the preprocessing before the stages."""

from collections.abc import Mapping
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from m1.figures.style import (
    PREPROCESSING_COLOURS,
    PREPROCESSING_HATCHES,
    STAGE_COLOURS,
    STAGE_HATCHES,
    WORKLOAD_NAMES,
    bracketed,
    new_figure,
    styled,
)
from m1.schemas.profile import STAGES, Stage
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Preprocessing, WorkloadContrast

Bars = Mapping[Workload, Mapping[Stage, Estimate]]

BAR_HEIGHT = 0.4
POSITIONS: dict[Workload, float] = {"qa": 1.0, "captioning": 0.0}


@styled
def draw_stage_breakdown(contrast: WorkloadContrast) -> Figure:
    """Stacked bars of both workloads, in milliseconds above and in percent below."""
    sample = {w: f"n = {contrast.latency[w].n} requests" for w in WORKLOADS}
    figure = new_figure("E1: stages at the reference setting", contrast, sample, 4.4)
    times, shares = figure.subplots(2, 1, height_ratios=(1.35, 1))
    breakdown = contrast.stage_breakdown
    _draw_panel(times, {w: {s: breakdown[w][s].mean_ms for s in STAGES} for w in WORKLOADS})
    if contrast.preprocessing:
        _draw_preprocessing(times, contrast.preprocessing)
    _draw_totals(times, contrast)
    times.set_xlabel("Mean time (ms) from inputs on the device")
    _draw_panel(shares, {w: {s: percent(breakdown[w][s].share) for s in STAGES} for w in WORKLOADS})
    shares.set(xlabel="Share of the mean total (%)", xlim=(0, 102))
    return figure


def percent(share: Estimate) -> Estimate:
    """A share in percent."""
    return Estimate(value=100 * share.value, low=100 * share.low, high=100 * share.high)


def _draw_panel(axes: Axes, bars: Bars) -> None:
    """One stacked bar for each workload, with the numbers of its stages in a line above it."""
    for workload in WORKLOADS:
        drawn = _draw_stack(axes, bars[workload], POSITIONS[workload])
        numbers = [f"{s} {bracketed(bars[workload][s])}" for s in STAGES]
        top = POSITIONS[workload] + BAR_HEIGHT / 2
        _add_number_line(axes, drawn, numbers, top, loc="lower left", mode="expand")
    axes.set_yticks(
        list(POSITIONS.values()), [WORKLOAD_NAMES[w].replace(" ", "\n") for w in POSITIONS]
    )
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.3, 1.55)
    axes.grid(axis="x")


def _draw_stack(axes: Axes, stages: Mapping[Stage, Estimate], y: float) -> list[BarContainer]:
    """The stages one after another; a whisker at each end shows the interval of that stage."""
    drawn, start = [], 0.0
    for stage in STAGES:
        estimate = stages[stage]
        look = STAGE_COLOURS[stage], STAGE_HATCHES[stage]
        drawn.append(_draw_bar(axes, y, start, estimate.value, *look))
        _draw_whisker(axes, start + estimate.low, start + estimate.high, y)
        start += estimate.value
    return drawn


def _draw_bar(
    axes: Axes, y: float, start: float, width: float, colour: str, hatch: str
) -> BarContainer:
    """A part of a bar that begins at `start`."""
    return axes.barh(
        y,
        width,
        BAR_HEIGHT,
        left=start,
        color=colour,
        hatch=hatch,
        edgecolor="black",
        linewidth=0.5,
    )


def _draw_whisker(axes: Axes, low: float, high: float, y: float) -> None:
    """An interval, edged in white to stand out from every hatch."""
    for colour, width in (("white", 3.0), ("black", 1.3)):
        axes.plot([low, high], [y, y], color=colour, linewidth=width, clip_on=False)


def _add_number_line(
    axes: Axes,
    bars: list[BarContainer],
    numbers: list[str],
    y: float,
    *,
    loc: Literal["lower left", "upper left"],
    mode: Literal["expand"] | None = None,
) -> None:
    """A legend for one bar, in a line, so that thin stages are as readable as wide ones.

    Args:
        axes: the panel.
        bars: the parts of the bar.
        numbers: the text for each part.
        y: height of the legend's corner.
        loc: which corner.
        mode: "expand" to fill the panel's width.
    """
    legend = Legend(
        axes,
        bars,
        numbers,
        loc=loc,
        bbox_to_anchor=(0, y, 1, 0),
        bbox_transform=axes.get_yaxis_transform(),
        mode=mode,
        ncols=len(numbers),
        borderpad=0.3,
        borderaxespad=0,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=0.5 if mode else 1.5,
    )
    axes.add_artist(legend)


def _draw_totals(axes: Axes, contrast: WorkloadContrast) -> None:
    """The mean total at the end of each bar."""
    for workload, y in POSITIONS.items():
        times = [contrast.stage_breakdown[workload][s].mean_ms for s in STAGES]
        end = sum(t.value for t in times[:-1]) + max(times[-1].value, times[-1].high)
        text = f"total {bracketed(contrast.latency[workload].mean_ms, 'ms')}"
        axes.annotate(text, (end, y), (6, 0), textcoords="offset points", va="center", size=7)
    # Room for the longest bar's total.
    left, right = axes.dataLim.x0, axes.dataLim.x1
    width = right - left
    axes.set_xlim(left - 0.02 * width if left < 0 else 0, right + 0.3 * width)


def _draw_preprocessing(axes: Axes, before: Mapping[Workload, Preprocessing]) -> None:
    """Pale bars that end where the total starts, with their numbers in a line below."""
    for workload, y in POSITIONS.items():
        end, drawn, told = 0.0, [], []
        for part, mean in reversed(before[workload].parts.items()):
            look = PREPROCESSING_COLOURS[part], PREPROCESSING_HATCHES[part]
            drawn.append(_draw_bar(axes, y, end - mean.value, mean.value, *look))
            told.append(f"{part} {bracketed(mean, 'ms')}")
            _draw_whisker(axes, end - mean.high, end - mean.low, y)
            end -= mean.value
        told[-1] = f"preprocessing, outside the total: {told[-1]}"
        bottom, top = y - BAR_HEIGHT / 2, y + BAR_HEIGHT / 2
        _add_number_line(axes, drawn[::-1], told[::-1], bottom, loc="upper left")
        axes.plot([0, 0], [bottom, top], color="black", linewidth=2.5)
    axes.set_ylim(-0.5, 1.55)
