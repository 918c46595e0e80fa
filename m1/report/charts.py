"""The charts of the report: the charts of `dvc plots`, which DVC's code fills with one run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dvc_render.exceptions import DvcRenderError
from dvc_render.vega import VegaRenderer

from m1.analysis.plots import Row, chart_rows
from m1.errors import UserError
from m1.figures.latency_cdf import LatencyPoint
from m1.reading import shown
from m1.report.adapt import for_a_page
from m1.schemas.base import describe
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast

Spec = dict[str, Any]

MOST_STEPS = 200
"""Largest number of steps of a distribution. A page shows the distribution, not each request."""


@dataclass(frozen=True)
class ChartKind:
    """A chart as it is under `plots` in `dvc.yaml`, with its texts for the reader."""

    id: str
    heading: str
    alternative: str
    """A description of the chart, also for readers who cannot see it."""
    template: str
    x: str
    y: str
    x_label: str | None = None
    y_label: str | None = None


KINDS = (
    ChartKind(
        "stage_breakdown",
        "Where a request spends its time",
        "Bars of the mean time of each stage, one after another, in a row for each workload. "
        "Preprocessing comes before the stages: if it was measured, it is pale and left of zero.",
        "m1_stage_breakdown",
        x="end_ms",
        y="workload",
        x_label="mean time (ms), stages one after another",
    ),
    ChartKind(
        "latency_cdf",
        "How latencies are spread",
        "A rising line for each workload: the share of requests with at most this latency.",
        "m1_latency_cdf",
        x="latency_ms",
        y="share_of_requests",
        x_label="total latency of a request (ms)",
        y_label="share of requests",
    ),
    ChartKind(
        "frontier_qa",
        "Question answering",
        "Points of quality against latency, one for each setting; a line joins the frontier.",
        "m1_frontier",
        x="latency_ms",
        y="quality",
        x_label="latency (ms)",
        y_label="VQA accuracy (0 to 1)",
    ),
    ChartKind(
        "frontier_captioning",
        "Captioning",
        "Points of quality against latency, one for each setting; a line joins the frontier.",
        "m1_frontier",
        x="latency_ms",
        y="quality",
        x_label="latency (ms)",
        y_label="CIDEr-D (0 to 10)",
    ),
    ChartKind(
        "knob_sensitivity",
        "How each knob changes latency",
        "Bars of the change of mean latency at each value of a knob. The other knobs are at the "
        "reference.",
        "m1_knob_sensitivity",
        x="value",
        y="change_percent",
        x_label="value of the knob",
        y_label="change of mean latency (%)",
    ),
    ChartKind(
        "decode_split",
        "Why decode time changes",
        "Two bars at each value of a knob, with the other knobs at the reference: the change of "
        "decode time that is due to the length of outputs (pale), and the change that is due to "
        "the time per token.",
        "m1_decode_split",
        x="value",
        y="change_percent",
        x_label="value of the knob",
        y_label="change of mean decode time (%)",
    ),
    ChartKind(
        "knob_coupling",
        "How far knobs depend on each other",
        "Bars of the area of the frontier. First one knob is fixed at each of its values; then one "
        "knob moves alone, and then all knobs move.",
        "m1_knob_coupling",
        x="value",
        y="hypervolume",
        x_label="value of the knob, or knob that moves",
        y_label="hypervolume (no unit)",
    ),
)


@dataclass(frozen=True)
class Chart:
    """A chart of one run."""

    kind: ChartKind
    spec: Spec | None
    """Vega-Lite, with its data; `None` if the run has no data for the chart."""
    rows: Sequence[Row]
    """The data that is drawn."""


def make_charts(
    contrast: WorkloadContrast, latencies: Sequence[LatencyPoint], templates: Path
) -> dict[str, Chart]:
    """Every chart by its id.

    Args:
        contrast: the results of the run.
        latencies: latencies of the requests of E1, sorted in each workload.
        templates: folder of the Vega-Lite templates.

    Raises:
        UserError: if a template is missing or wrong.
    """
    rows = _chart_data(contrast, latencies)
    return {
        kind.id: Chart(kind, _filled(kind, rows[kind.id], templates), rows[kind.id])
        for kind in KINDS
    }


def _chart_data(
    contrast: WorkloadContrast, latencies: Sequence[LatencyPoint]
) -> Mapping[str, list[Row]]:
    """The data of each chart, by the chart's id."""
    frontiers = contrast.frontiers or dict.fromkeys(WORKLOADS)
    return {
        **chart_rows(contrast, frontiers),
        "latency_cdf": list(_steps(contrast, latencies)),
    }


def _steps(contrast: WorkloadContrast, latencies: Sequence[LatencyPoint]) -> Iterator[Row]:
    """At most `MOST_STEPS` quantiles of each workload, each with the number of all its requests."""
    for workload in WORKLOADS:
        times = [point.latency_ms for point in latencies if point.workload == workload]
        shares = np.linspace(0, 1, min(len(times), MOST_STEPS) + 1)[1:]
        steps = np.quantile(times, shares, method="inverted_cdf")
        for latency_ms, share in zip(steps, shares, strict=True):
            yield {
                "workload": workload,
                "latency_ms": float(latency_ms),
                "share_of_requests": float(share),
                "requests": contrast.latency[workload].n,
            }


def _filled(kind: ChartKind, rows: Sequence[Row], templates: Path) -> Spec | None:
    """The specification that DVC makes of a plot with one revision, adapted to the page."""
    if not rows:
        return None
    labels = {"x_label": kind.x_label, "y_label": kind.y_label}
    try:
        renderer = VegaRenderer(
            [dict(row, rev="this run") for row in rows],
            kind.id,
            x=kind.x,
            y=kind.y,
            template=kind.template,
            template_dir=str(templates),
            **{name: label for name, label in labels.items() if label},
        )
        return for_a_page(renderer.get_filled_template(), kind.alternative)
    except (DvcRenderError, OSError, ValueError) as error:
        file = shown(templates / f"{kind.template}.json")
        raise UserError(
            f"{file}: not a valid chart template ({describe(error)}); restore the project's "
            "templates (`git checkout .dvc/plots`), and run this in the project's folder"
        ) from None
