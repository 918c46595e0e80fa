"""The tables of the report. Every row and column has a header."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from m1.analysis.plots import Row
from m1.figures.style import WORKLOAD_NAMES
from m1.schemas.profile import STAGES, Check
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import (
    Estimate,
    Frontier,
    FrontierPoint,
    Preprocessing,
    WorkloadContrast,
)
from m1.schemas.results.roofline import cells_at
from m1.schemas.settings import KNOBS, Setting
from m1.show.device import NAMES, floor_of, times_of
from m1.show.headline import latency_rows, quality_rows, tail_rows
from m1.show.numbers import NOT_AVAILABLE, with_interval


@dataclass(frozen=True)
class Table:
    """A table. The first cell of each row is the header of the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cell:
    """A cell of a table that can be sorted."""

    text: str
    key: float
    """The number by which it is sorted."""


@dataclass(frozen=True)
class SettingRow:
    """A row of the table of settings: one setting in both workloads."""

    setting: str
    cells: tuple[Cell, ...]


PLACES = {"start_ms", "end_ms"}
"""Columns of chart data that say where a mark is drawn. They follow from the other columns."""
WORKLOAD_COLUMNS = tuple(WORKLOAD_NAMES[w] for w in WORKLOADS)


def stage_table(contrast: WorkloadContrast) -> Table:
    """The time of each stage, the total, and the time before the total."""
    columns = (f"{WORKLOAD_NAMES[w]}, {unit}" for w in WORKLOADS for unit in ("ms", "share"))
    return Table(
        f"Mean time of each stage at the reference setting {contrast.reference.label}",
        ("", *columns),
        tuple(_stage_rows(contrast)),
    )


def _stage_rows(contrast: WorkloadContrast) -> Iterator[tuple[str, ...]]:
    for stage in STAGES:
        both = [contrast.stage_breakdown[w][stage] for w in WORKLOADS]
        cells = ((_in_ms(time.mean_ms), with_interval(time.share, ".1%")) for time in both)
        yield stage, *(text for pair in cells for text in pair)
    totals = ((_in_ms(contrast.latency[w].mean_ms), "") for w in WORKLOADS)
    yield "total", *(text for pair in totals for text in pair)
    if contrast.preprocessing:
        yield from _rows_before([contrast.preprocessing[w] for w in WORKLOADS])


def _rows_before(both: Sequence[Preprocessing]) -> Iterator[tuple[str, ...]]:
    """Preprocessing, which comes before the clock of the total and is not part of it."""
    for part in both[0].parts:
        cells = ((_in_ms(split.parts[part]), "") for split in both if part in split.parts)
        yield f"before the total: {part}", *(text for pair in cells for text in pair)
    sums = [(split.mean_ms, split.relative_to_total) for split in both]
    cells = (
        (_in_ms(mean), f"{with_interval(relative, '.1%')} of the total")
        for mean, relative in sums
        if mean and relative
    )
    if rest := [text for pair in cells for text in pair]:
        yield "before the total: all of it", *rest


def _in_ms(estimate: Estimate) -> str:
    return with_interval(estimate, ".2f" if abs(estimate.value) < 10 else ".1f")


def latency_table(contrast: WorkloadContrast) -> Table:
    """Mean and percentiles, upper bounds of percentiles, and the causes of slow requests."""
    columns = (f"{WORKLOAD_NAMES[w]} (n = {contrast.latency[w].n})" for w in WORKLOADS)
    rows = (*latency_rows(contrast), *tail_rows(contrast))
    return Table(
        "Latency of a request, in ms unless a unit is given",
        ("", *columns),
        tuple((name.removesuffix("_ms"), *cells) for name, *cells in rows),
    )


def quality_table(contrast: WorkloadContrast) -> Table:
    """Facts about quality that are not on the frontiers."""
    return Table(
        "Best settings, and facts about the outputs",
        ("", *WORKLOAD_COLUMNS),
        tuple(quality_rows(contrast)),
    )


def roofline_table(contrast: WorkloadContrast) -> Table | None:
    """How close each stage is to the device's limits; `None` if no work was counted."""
    cells = cells_at(contrast.reference, contrast.roofline)
    if not cells:
        return None
    rates = contrast.device_rates
    columns = (f"{WORKLOAD_NAMES[w]}, {what}" for w in cells for what in ("times", "floor set by"))
    return Table(
        "Measured time as a multiple of the shortest time that the device allows (its floor: "
        f"{rates.matrix_tflop_per_s:.3g} TFLOP/s, {rates.copy_gb_per_s:.4g} GB/s)",
        ("", *columns),
        tuple(
            (NAMES[s], *(said(cell, s) for cell in cells.values() for said in (times_of, floor_of)))
            for s in STAGES
        ),
    )


def check_table(checks: Sequence[Check]) -> Table:
    """Every validity check of the run, with value and threshold."""
    return Table(
        "Checks of this run",
        ("Check", "Result", "Spoils", "Value", "Threshold", "In words"),
        tuple(
            (
                check.name.replace("_", " "),
                "FAILED"
                if not check.passed
                else "not measured"
                if check.value is None
                else "passed",
                check.spoils,
                _number(check.value),
                _number(check.threshold),
                check.detail,
            )
            for check in checks
        ),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def setting_columns() -> tuple[str, ...]:
    """The headers of the table of settings."""
    of_workloads = (
        f"{WORKLOAD_NAMES[w]}: {what}"
        for w in WORKLOADS
        for what in ("latency, ms", "quality", "on the frontier")
    )
    return ("Setting", "visual tokens", "top_k", "blocks", *of_workloads)


def setting_rows(contrast: WorkloadContrast) -> Iterator[SettingRow]:
    """A row for each setting of both frontiers, with the reference first."""
    frontiers = contrast.frontiers or {}
    points = {w: {p.setting: p for p in frontiers[w].points} for w in frontiers}
    settings = dict.fromkeys(s for w in points for s in points[w])
    for rank, setting in enumerate(sorted(settings, key=_largest_first)):
        both = (points[w].get(setting) for w in WORKLOADS)
        yield SettingRow(
            setting.label,
            (
                Cell(setting.label, rank),
                *(_knob(getattr(setting, knob)) for knob in KNOBS),
                *(cell for point in both for cell in _of_workload(point)),
            ),
        )


def _largest_first(setting: Setting) -> tuple[int, ...]:
    return tuple(-(getattr(setting, knob) or 0) for knob in KNOBS)


def _knob(value: int | None) -> Cell:
    return Cell("-" if value is None else str(value), value or 0)


def _of_workload(point: FrontierPoint | None) -> tuple[Cell, Cell, Cell]:
    if point is None:
        return (Cell(NOT_AVAILABLE, -1),) * 3
    on_it = "yes" if point.on_frontier else "no"
    return (
        Cell(with_interval(point.latency_ms, ".1f"), point.latency_ms.value),
        Cell(with_interval(point.quality, ".3f"), point.quality.value),
        Cell(f"{on_it} ({point.frontier_share:.0%})", point.frontier_share),
    )


def sample_of(frontier: Frontier) -> str:
    """The sample behind a frontier, in a line."""
    return (
        f"{WORKLOAD_NAMES[frontier.workload]}: {frontier.latency_statistic} latency of "
        f"{frontier.timed.n_requests} timed requests and quality of "
        f"{frontier.scored.n_requests} scored requests at each setting"
    )


def rows_table(caption: str, rows: Sequence[Row]) -> Table:
    """The data of a chart, as a table."""
    columns = tuple(name for name in rows[0] if name not in PLACES)
    return Table(
        caption,
        tuple(name.replace("_", " ") for name in columns),
        tuple(tuple(_said(row[name]) for name in columns) for row in rows),
    )


def _said(value: object) -> str:
    names: dict[object, str] = dict(WORKLOAD_NAMES.items())
    return f"{value:.4g}" if isinstance(value, float) else names.get(value, str(value))


def failed_table(contrast: WorkloadContrast) -> Table | None:
    """Cells that could not be measured; `None` if all cells were measured."""
    if not contrast.failed:
        return None
    names: dict[Workload, str] = WORKLOAD_NAMES
    return Table(
        "Cells that could not be measured",
        ("Setting", "Experiment", "Workload", "Reason"),
        tuple(
            (cell.place, cell.experiment.upper(), names[cell.workload], cell.reason)
            for cell in contrast.failed
        ),
    )
