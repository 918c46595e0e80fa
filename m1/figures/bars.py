"""Bars with intervals and numbers, and the text of panels without bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from m1.figures.style import whiskers
from m1.schemas.results import Estimate


def draw_bars(
    axes: Axes,
    places: Sequence[float],
    changes: Sequence[Estimate],
    width: float,
    look: Mapping[str, Any],
) -> None:
    """Bars with their intervals and numbers; `look` is colour, hatch and edge."""
    axes.bar(
        places,
        [change.value for change in changes],
        width,
        yerr=whiskers(list(changes)),
        capsize=2,
        error_kw={"elinewidth": 0.9},
        **look,
    )
    for place, change in zip(places, changes, strict=True):
        # Beyond the whisker's far end, so that neither covers the other.
        end, side = (change.low, -1) if change.value < 0 else (change.high, 1)
        axes.annotate(
            f"{change.value:+.1f}".replace("-", "−"),
            (place, end),
            (0, 3 * side),
            textcoords="offset points",
            ha="center",
            va="top" if side < 0 else "bottom",
            size=6.5,
        )


def say_not_varied(axes: Axes, reference: int | None) -> None:
    """Write why there are no bars, in their place."""
    value = "left as the model has it" if reference is None else f"only value: {reference}"
    say_instead(axes, f"not varied\n({value})")


def say_instead(axes: Axes, text: str) -> None:
    """Write a sentence into a panel that has nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=8)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
