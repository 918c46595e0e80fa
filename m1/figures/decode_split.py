"""E2: the parts of each change of decode time that come from length and from speed."""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from m1.figures.bars import draw_bars, say_instead, say_not_varied
from m1.figures.style import (
    KNOB_NAMES,
    WORKLOAD_NAMES,
    add_legend,
    bracketed,
    new_figure,
    styled,
    whiskers,
)
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
from m1.schemas.results.decode import DecodeParts, DecodeSplit, DecodeSplits
from m1.schemas.settings import KNOBS, Knob

Part = Literal["length", "speed"]
BAR_WIDTH = 0.34
PLACES: dict[Part, float] = {"length": -0.27, "speed": 0.07}
TOTAL_PLACE = 0.33
NAMES: dict[Part, str] = {
    "length": "outputs of another length",
    "speed": "tokens of another speed",
}
LOOKS: dict[Part, dict[str, Any]] = {
    "length": {"facecolor": "#E69F00", "hatch": "....", "edgecolor": "black", "linewidth": 0.5},
    "speed": {"facecolor": "#CC79A7", "hatch": "", "edgecolor": "black", "linewidth": 0.5},
}
TOTAL: dict[str, Any] = {"marker": "D", "markersize": 3.5, "color": "black", "linestyle": "none"}


@styled
def draw_decode_split(contrast: WorkloadContrast) -> Figure:
    """A row for each workload, a panel for each knob: both parts of the change, and their sum."""
    sample = {
        w: f"n = {contrast.timed[w].n_requests} requests a setting, "
        f"{_decode_of(contrast.decode_split[w])} at the reference"
        for w in WORKLOADS
    }
    figure = new_figure(
        "E2: decode time by length and by speed, other knobs at the reference setting",
        contrast,
        sample,
        5.0,
    )
    rows = figure.subplots(len(WORKLOADS), len(KNOBS), sharey=True)
    for row, workload in zip(rows, WORKLOADS, strict=True):
        splits = contrast.decode_split[workload].knobs
        for axes, knob in zip(row, KNOBS, strict=True):
            draw_knob(axes, splits.get(knob, ()), knob, getattr(contrast.reference, knob))
        row[0].set_ylabel(f"{WORKLOAD_NAMES[workload]}\nChange of mean decode time (%)")
    for axes, knob in zip(rows[0], KNOBS, strict=True):
        axes.set_title(KNOB_NAMES[knob])
    add_legend(figure, legend_entries(), 3)
    return figure


def legend_entries() -> list[Patch | Line2D]:
    """Both parts and their sum."""
    parts = [Patch(**LOOKS[part], label=name) for part, name in NAMES.items()]
    return [*parts, Line2D([], [], **TOTAL, label="sum: change of decode time")]


def _decode_of(splits: DecodeSplits) -> str:
    """Length and speed at the reference setting."""
    steps = f"{bracketed(splits.reference_n_steps)} decode steps a request"
    speed = splits.reference_ms_per_step
    return steps if speed is None else f"{steps} of {bracketed(speed, 'ms')}"


def draw_knob(axes: Axes, splits: Sequence[DecodeSplit], knob: Knob, reference: int | None) -> None:
    """One knob's panel. A text says if the knob has no other values, or the model no decode."""
    axes.margins(y=0.14)  # room for the numbers beyond the whiskers
    known = [split.percent for split in splits if split.percent]
    if not splits:
        say_not_varied(axes, reference)
    elif len(known) < len(splits):
        say_instead(axes, "no decode step\n(outputs are single tokens)")
    else:
        _draw_parts(axes, known)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xticks(range(len(splits)), [str(getattr(s.setting, knob)) for s in splits])
        axes.set(xlabel=f"Value (reference: {reference})", xlim=(-0.6, len(splits) - 0.4))
        axes.grid(axis="y")


def _draw_parts(axes: Axes, percents: Sequence[DecodeParts]) -> None:
    """Two bars for each value, and the sum of both."""
    for part, offset in PLACES.items():
        places = [i + offset for i in range(len(percents))]
        changes = [getattr(percent, part) for percent in percents]
        draw_bars(axes, places, changes, BAR_WIDTH, LOOKS[part])
    totals = [percent.change for percent in percents]
    axes.errorbar(
        [i + TOTAL_PLACE for i in range(len(totals))],
        [total.value for total in totals],
        yerr=whiskers(totals),
        capsize=2,
        elinewidth=0.9,
        **TOTAL,
    )
