"""Adapt chart specifications from DVC, which are for several revisions, to a page about one run."""

from typing import Any

from m1.figures.style import WORKLOAD_COLOURS, WORKLOAD_NAMES

Spec = dict[str, Any]

REVISION = {"rev", "revision"}
"""Fields with the revision of a mark. This page has only one revision."""
NAMES: dict[str, str] = dict(WORKLOAD_NAMES.items())
WORKLOAD_COLOUR = {
    "field": "workload",
    "type": "nominal",
    "scale": {
        "domain": [WORKLOAD_NAMES[w] for w in WORKLOAD_COLOURS],
        "range": list(WORKLOAD_COLOURS.values()),
    },
    "legend": None,
}
PICKED = "picked"
# A ring is behind every point, so that the pointer finds the point and not the ring. All rings but
# the picked one have size 0. They are still drawn, since a layer without points has no scale.
PICKED_RING: Spec = {
    "mark": {"type": "point", "filled": False, "strokeWidth": 2.5, "tooltip": None},
    "encoding": {
        "color": {"value": "#A00000"},
        **{
            channel: {"condition": {"test": f"datum.setting === {PICKED}", "value": v}, "value": 0}
            for channel, v in (("size", 420), ("opacity", 1))
        },
    },
}
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "legend": {"orient": "bottom"},
    "view": {"stroke": "#d9d9d9"},
}


def for_a_page(spec: Spec, alternative: str) -> Spec:
    """A specification for a page about one run, without the parts that distinguish revisions.

    Workloads have the names and colours of the figures. Title and version are removed, since the
    page has them. Rows of panels have their names above them. The wheel scrolls the page and does
    not zoom the chart. The parameter `picked` puts a ring around a setting.
    """
    page: Spec = _of_one_run(spec)
    if row := page.get("facet", {}).get("row"):
        row["header"] = row.get("header", {}) | {"labelOrient": "top", "labelAnchor": "start"}
    for name in ("$schema", "title"):
        page.pop(name, None)
    page |= {"description": alternative, "config": CONFIG | page.get("config", {})}
    if any(row.get("setting") for row in page["data"]["values"]):
        page["params"] = [*page.get("params", []), {"name": PICKED, "value": ""}]
        page["layer"] = [PICKED_RING, *page["layer"]]
    return page


def _of_one_run(part: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(part, list):
        return [_of_one_run(item) for item in part if not _is_superfluous(item)]
    if isinstance(part, str):
        return NAMES.get(part, part)
    if not isinstance(part, dict):
        return part
    return {name: _changed(name, value) for name, value in part.items()}


def _changed(name: str, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    of_revisions = isinstance(value, dict) and value.get("field") in REVISION
    if of_revisions and name == "color":
        return WORKLOAD_COLOUR
    if of_revisions and name == "y":
        return value | {"axis": None}
    return _of_one_run(value)


def _is_superfluous(part: object) -> bool:
    """Whether a part is not needed: the revision in a tooltip, zooming by the wheel, point counts.

    The points of a distribution are quantiles here. Each of them has the number of requests, so
    points need not be counted.
    """
    if not isinstance(part, dict):
        return False
    names_revision = part.get("field") in REVISION and part.keys() <= {"field", "title", "type"}
    counts = any(operation.get("op") == "count" for operation in part.get("joinaggregate", []))
    return names_revision or counts or part.get("bind") == "scales"
