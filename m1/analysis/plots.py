"""Rows for `dvc plots`, one for each mark on a chart."""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import pandas as pd

from m1.schemas.profile import Validity
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Frontier, WorkloadContrast

Row = dict[str, Any]
Part = TypeVar("Part", bound=str)
ONE_OR_ALL = "moving one knob or all"


def judged(rows: list[Row], validity: Validity) -> list[Row]:
    """The rows with the verdict on their run, so that a chart shows it for each revision."""
    return [row | {"validity": validity.in_short} for row in rows]


def chart_rows(
    contrast: WorkloadContrast, frontiers: Mapping[Workload, Frontier | None]
) -> dict[str, list[Row]]:
    """The rows of all charts but the one of latencies, by the name of the chart.

    If there is no quality, its chart has no rows.
    """
    return {
        "stage_breakdown": stage_rows(contrast),
        "knob_sensitivity": sensitivity_rows(contrast),
        "decode_split": decode_split_rows(contrast),
        "knob_coupling": coupling_rows(contrast),
        **{f"frontier_{w}": frontier_rows(one) if one else [] for w, one in frontiers.items()},
    }


def stage_rows(contrast: WorkloadContrast) -> list[Row]:
    """A bar for each stage, which starts where the bar before it ends.

    Times that belong to no stage are left of zero.
    """
    return [
        row | {"n_requests": contrast.latency[w].n}
        for w in WORKLOADS
        for row in _stages_of(w, contrast)
    ]


def _stages_of(workload: Workload, contrast: WorkloadContrast) -> list[Row]:
    before = contrast.preprocessing[workload].parts if contrast.preprocessing else {}
    stages = contrast.stage_breakdown[workload]
    means = {name: stage.mean_ms for name, stage in stages.items()}
    total_ms = contrast.latency[workload].mean_ms.value
    return [
        *_stacked(
            workload,
            before,
            {name: mean.value / total_ms for name, mean in before.items()},
            -sum(mean.value for mean in before.values()),
        ),
        *_stacked(workload, means, {name: stage.share.value for name, stage in stages.items()}),
    ]


def _stacked(
    workload: Workload,
    means: Mapping[Part, Estimate],
    shares: Mapping[Part, float],
    start_ms: float = 0.0,
) -> list[Row]:
    ends = accumulate((mean.value for mean in means.values()), initial=start_ms)
    return [
        {
            "workload": workload,
            "stage": name,
            "mean_ms": mean.value,
            "low": mean.low,
            "high": mean.high,
            "share": shares[name],
            "start_ms": start_ms,
            "end_ms": end_ms,
        }
        for (name, mean), (start_ms, end_ms) in zip(means.items(), pairwise(ends), strict=True)
    ]


def latency_rows(rows: Mapping[Workload, pd.DataFrame]) -> list[Row]:
    """For each request of E1, the share of requests that take no longer."""
    return [
        {"workload": w, "latency_ms": ms, "share_of_requests": (i + 1) / len(times)}
        for w in WORKLOADS
        for times in [sorted(rows[w]["total_ms"].tolist())]
        for i, ms in enumerate(times)
    ]


def frontier_rows(frontier: Frontier) -> list[Row]:
    """A point for each setting."""
    return [
        {
            "workload": frontier.workload,
            "setting": point.label,
            "latency_ms": point.latency_ms.value,
            "latency_low": point.latency_ms.low,
            "latency_high": point.latency_ms.high,
            "quality": point.quality.value,
            "quality_low": point.quality.low,
            "quality_high": point.quality.high,
            "on_frontier": point.on_frontier,
            "frontier_share": point.frontier_share,
            "n_timed": frontier.timed.n_requests,
            "n_scored": frontier.scored.n_requests,
            **point.setting.model_dump(),
        }
        for point in frontier.points
    ]


def sensitivity_rows(contrast: WorkloadContrast) -> list[Row]:
    """A bar for each value of each knob except the reference."""
    return [
        {
            "workload": workload,
            "knob": knob,
            "value": point.value,
            "change_percent": point.latency_change_percent.value,
            "low": point.latency_change_percent.low,
            "high": point.latency_change_percent.high,
            "n_requests": contrast.timed[workload].n_requests,
        }
        for workload in WORKLOADS
        for knob, points in contrast.sensitivity[workload].items()
        for point in points
    ]


def decode_split_rows(contrast: WorkloadContrast) -> list[Row]:
    """Two bars, length and speed, for each value of each knob except the reference."""
    return [
        {
            "workload": workload,
            "knob": knob,
            "value": getattr(split.setting, knob),
            "part": part,
            "change_percent": share.value,
            "low": share.low,
            "high": share.high,
            "change_ms": time.value,
            "n_requests": contrast.timed[workload].n_requests,
        }
        for workload in WORKLOADS
        for knob, splits in contrast.decode_split[workload].knobs.items()
        for split in splits
        if split.percent
        for part, share, time in (
            ("length", split.percent.length, split.ms.length),
            ("speed", split.percent.speed, split.ms.speed),
        )
    ]


def coupling_rows(contrast: WorkloadContrast) -> list[Row]:
    """A bar for each knob fixed at each value, for each knob alone, and for the whole grid."""
    frontiers = contrast.frontiers or {}
    return [row for w in WORKLOADS if w in frontiers for row in _areas(frontiers[w])]


def _areas(frontier: Frontier) -> list[Row]:
    coupling = frontier.coupling
    fixed = [
        (f"{knob} fixed", str(one.value), one.hypervolume, one.hypervolume_change.value)
        for knob, values in coupling.fixed.items()
        for one in values
    ]
    alone = [
        (ONE_OR_ALL, one.knob, one.hypervolume, -coupling.joint_gains[one.knob].value)
        for one in frontier.single_knob
    ]
    return [
        {
            "workload": frontier.workload,
            "panel": panel,
            "value": value,
            "hypervolume": area.value,
            "low": area.low,
            "high": area.high,
            "change": change,
            "n_timed": frontier.timed.n_requests,
            "n_scored": frontier.scored.n_requests,
        }
        for panel, value, area, change in [
            *fixed,
            *alone,
            (ONE_OR_ALL, "all", frontier.hypervolume, 0.0),
        ]
    ]
