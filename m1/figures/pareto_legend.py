"""How the points of a frontier look, and the legend that says so."""

from typing import Any

from matplotlib.lines import Line2D

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
