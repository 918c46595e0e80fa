"""E2: the effect of each knob on the latency of each workload."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from m1.figures.bars import draw_bars, say_not_varied
from m1.figures.style import (
    KNOB_NAMES,
    WORKLOAD_COLOURS,
    WORKLOAD_HATCHES,
    WORKLOAD_NAMES,
    add_legend,
    new_figure,
    styled,
)
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SensitivityPoint, WorkloadContrast
from m1.schemas.settings import KNOBS, Knob

BAR_WIDTH = 0.38
OFFSETS: dict[Workload, float] = {"qa": -BAR_WIDTH / 2, "captioning": BAR_WIDTH / 2}


@styled
def draw_sensitivity(contrast: WorkloadContrast) -> Figure:
    """A panel for each knob: the change of latency at each value below the reference."""
    sample = {w: f"n = {contrast.timed[w].n_requests} requests a setting" for w in WORKLOADS}
    figure = new_figure(
        "E2: what each knob does to latency, the others at the reference setting",
        contrast,
        sample,
        3.1,
    )
    panels = figure.subplots(1, len(KNOBS), sharey=True)
    for axes, knob in zip(panels, KNOBS, strict=True):
        draw_knob(axes, contrast, knob)
    panels[0].set_ylabel("Change of mean latency (%)\nnegative: faster than the reference")
    add_legend(figure, legend_entries(), len(WORKLOADS))
    return figure


def legend_entries() -> list[Patch]:
    """The look of each workload, whether or not it has bars."""
    return [Patch(**look(workload), label=WORKLOAD_NAMES[workload]) for workload in WORKLOADS]


def look(workload: Workload) -> dict[str, Any]:
    """Colour and hatch."""
    return {
        "facecolor": WORKLOAD_COLOURS[workload],
        "hatch": WORKLOAD_HATCHES[workload],
        "edgecolor": "black",
        "linewidth": 0.5,
    }


def draw_knob(axes: Axes, contrast: WorkloadContrast, knob: Knob) -> None:
    """One knob's panel; a knob without other values says so."""
    reference: int | None = getattr(contrast.reference, knob)
    points = {w: changed(contrast, w, knob, reference) for w in WORKLOADS}
    missing = not_measured(contrast, knob)
    measured = {p.value for own in points.values() for p in own}
    values = sorted(measured | missing, reverse=True)
    axes.set_title(KNOB_NAMES[knob])
    axes.margins(y=0.16)  # room for the numbers beyond the whiskers
    if not values:
        say_not_varied(axes, reference)
        return
    for workload, own in points.items():
        draw_workload(axes, own, values, workload)
    for value in missing - measured:
        _say_not_measured(axes, values.index(value))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(values)), [str(value) for value in values])
    axes.set(xlabel=f"Value (reference: {reference})", xlim=(-0.6, len(values) - 0.4))
    axes.grid(axis="y")


def changed(
    contrast: WorkloadContrast, workload: Workload, knob: Knob, reference: int | None
) -> Sequence[SensitivityPoint]:
    """The points except the reference, where the change is 0 by definition."""
    points = contrast.sensitivity[workload].get(knob, ())
    return [point for point in points if point.value != reference]


def not_measured(contrast: WorkloadContrast, knob: Knob) -> set[int]:
    """The values of a knob that could not be measured with the others at the reference."""
    reference = contrast.reference
    failed = [cell.setting for cell in contrast.failed if cell.experiment == "e2"]
    return {
        getattr(setting, knob)
        for setting in failed
        if setting.model_copy(update={knob: getattr(reference, knob)}) == reference
    }


def _say_not_measured(axes: Axes, place: int) -> None:
    """Write that there are no bars, in their place. The caption says why."""
    axes.annotate(
        "not measured",
        (place, 0),
        (0, -6),
        textcoords="offset points",
        ha="center",
        va="top",
        rotation=90,
        size=7,
    )


def draw_workload(
    axes: Axes, points: Sequence[SensitivityPoint], values: Sequence[int], workload: Workload
) -> None:
    """One workload's bars."""
    places = [values.index(point.value) + OFFSETS[workload] for point in points]
    changes = [point.latency_change_percent for point in points]
    draw_bars(axes, places, changes, BAR_WIDTH, look(workload))
