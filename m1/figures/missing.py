"""The note in a frontier's panel about settings without a point."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from m1.figures.style import WORKLOAD_NAMES
from m1.schemas.profile import FailedCell
from m1.schemas.requests import Workload
from m1.schemas.results import Frontier

MOST_NAMED = 6  # the caption names them all
NOTE_CHARACTERS = 64  # that fit in the width of a panel
LINE_SHARE = 0.05  # of a panel's height
BAND_COLOUR = "#EEEEEE"


def note_missing(axes: Axes, frontier: Frontier, failed: Sequence[FailedCell]) -> None:
    """Write the missing settings, if there are any, into a band below the points.

    Call it when all points are drawn: the band is placed below their limits.
    """
    lines = missing(frontier, failed)
    if not lines:
        return
    low, high = axes.get_ylim()
    share = LINE_SHARE * (len(lines) + 0.6)
    bottom = low - (high - low) * share / (1 - share)
    axes.axhspan(bottom, low, color=BAND_COLOUR, zorder=0)
    axes.set_ylim(bottom, high)
    place = (0, 0), (4, 3), "axes fraction", "offset points"
    axes.annotate("\n".join(lines), *place, va="bottom", size=6.5)


def missing(frontier: Frontier, failed: Sequence[FailedCell]) -> list[str]:
    """The settings without a point, grouped by reason, in lines that fit."""
    shown = {point.setting for point in frontier.points}
    cells = [cell for cell in failed if cell.setting not in shown]
    # The workload's own failures come last, so they are shown if a setting failed in both.
    cells.sort(key=lambda cell: cell.workload == frontier.workload)
    reasons = {cell.setting.label: _reason_of(cell, frontier.workload) for cell in cells}
    groups = {why: [of for of, own in reasons.items() if own == why] for why in reasons.values()}
    notes = [f"× {what}: {named(labels)} ({why})" for (what, why), labels in groups.items()]
    return [line for note in notes for line in textwrap.wrap(note, NOTE_CHARACTERS)]


def _reason_of(cell: FailedCell, workload: Workload) -> tuple[str, str]:
    """What happened to the setting, and why. If it fails in one workload, both leave it out."""
    kind = cell.reason.partition(":")[0]
    if cell.workload == workload:
        return "not measured", kind
    return "left out", f"{kind} in {WORKLOAD_NAMES[cell.workload].lower()}"


def named(labels: Sequence[str]) -> str:
    """The first few, and the number of the others."""
    further = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {further} more" if further > 0 else "")
