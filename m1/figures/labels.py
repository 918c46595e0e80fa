"""Labels beside points. No label covers another."""

import itertools
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

# Possible places of a label, nearest first. The area above and left of a frontier's point is free,
# since faster settings are worse. Directions are shares of the distance.
DIRECTIONS = ((-0.7, 0.7), (-0.3, 1.0), (-1.0, 0.25), (0.3, 1.0), (1.0, 0.0), (0.7, -0.7))
DISTANCES_PT = (7, 12, 18, 26, 36, 48, 62)


def label_points(
    axes: Axes, places: Sequence[tuple[float, float]], texts: Sequence[str], avoid: Sequence[Bbox]
) -> list[Annotation]:
    """Write each text beside its place, clear of `avoid` (in pixels) and of the other texts.

    Call it last: it fixes the layout, and does not avoid anything that is drawn later.
    """
    taken, written = list(avoid), []
    for place, text in zip(places, texts, strict=True):
        label = _place_label(axes, place, text, taken)
        taken.append(extent(label))
        written.append(label)
    return written


def _place_label(
    axes: Axes, place: tuple[float, float], text: str, taken: Sequence[Bbox]
) -> Annotation:
    """Write a text at the nearest free place, or at the nearest place if none is free."""
    for offset in _offsets():
        label = annotate(axes, place, text, offset)
        if _is_free(extent(label), taken, axes.get_window_extent()):
            return label
        label.remove()
    return annotate(axes, place, text, next(_offsets()))


def _offsets() -> Iterator[tuple[float, float]]:
    """Offsets in points, nearest first."""
    pairs = itertools.product(DISTANCES_PT, DIRECTIONS)
    return ((distance * right, distance * up) for distance, (right, up) in pairs)


def annotate(
    axes: Axes, place: tuple[float, float], text: str, offset: tuple[float, float]
) -> Annotation:
    """A text at an offset in points, with a thin line to its place."""
    right, up = offset
    label = axes.annotate(
        text,
        place,
        offset,
        textcoords="offset points",
        size=6.5,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        ha="left" if right > 0.5 else "right" if right < -0.5 else "center",
        va="bottom" if up > 0.5 else "top" if up < -0.5 else "center",
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 3},
        zorder=5,
    )
    label.set_in_layout(False)
    return label


def extent(label: Annotation) -> Bbox:
    """The text's box in pixels, without its line."""
    label.get_window_extent()  # moves the text to its offset
    return Text.get_window_extent(label).padded(1)


def _is_free(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> bool:
    """Whether a box lies within `inside` and touches none of the taken ones."""
    corners_inside = inside.contains(*box.min) and inside.contains(*box.max)
    return corners_inside and not any(box.overlaps(other) for other in taken)
