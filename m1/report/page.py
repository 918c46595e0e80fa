"""The report of a run: one page that loads nothing from elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from m1.figures.latency_cdf import LatencyPoint
from m1.pages.render import render
from m1.report.charts import Chart, make_charts
from m1.report.facts import Command, Facts, Parameters, commands, measured, provenance
from m1.report.forest import Forest
from m1.report.tables import (
    SettingRow,
    Table,
    check_table,
    failed_table,
    latency_table,
    quality_table,
    roofline_table,
    rows_table,
    sample_of,
    setting_columns,
    setting_rows,
    stage_table,
)
from m1.schemas.results import KeyAnswers, WorkloadContrast
from m1.show.result import RAW_PROMPTS, prompts_are_raw

TEMPLATE = Path(__file__).with_name("page.html.jinja")
NO_NUMBERS = {"latency_cdf", "frontier_qa", "frontier_captioning"}
"""Charts without a table of numbers. The page has their numbers elsewhere, or has too many."""


@dataclass(frozen=True)
class Figure:
    """A chart on the page."""

    id: str
    heading: str
    alternative: str
    drawn: bool
    """Whether the chart has data."""
    numbers: Table | None
    """A table of the data that is drawn; `None` if the page shows none."""


@dataclass(frozen=True)
class Settings:
    """The table of all settings."""

    columns: tuple[str, ...]
    rows: tuple[SettingRow, ...]
    samples: tuple[str, ...]
    """The samples of the frontiers, a line each."""


@dataclass(frozen=True)
class Report:
    """The whole content of the page."""

    contrast: WorkloadContrast
    warnings: tuple[tuple[str, str], ...]
    """Facts that a reader must know first, each with a name and a sentence."""
    measured: Facts
    questions: tuple[tuple[str, str], ...]
    """The key questions with their answers."""
    forest: Forest
    figures: Mapping[str, Figure]
    stages: Table
    latency: Table
    quality: Table
    settings: Settings
    roofline: Table | None
    failed: Table | None
    checks: Table
    provenance: Facts
    commands: tuple[Command, ...]
    parameters: str

    @classmethod
    def of(
        cls, contrast: WorkloadContrast, charts: Mapping[str, Chart], parameters: Parameters
    ) -> "Report":
        """The report of a run."""
        frontiers = (contrast.frontiers or {}).values()
        return cls(
            contrast=contrast,
            warnings=tuple(_warnings(contrast)),
            measured=measured(contrast),
            questions=tuple(_questions(contrast.answers)),
            forest=Forest.of(contrast),
            figures={name: _figure(chart) for name, chart in charts.items()},
            stages=stage_table(contrast),
            latency=latency_table(contrast),
            quality=quality_table(contrast),
            settings=Settings(
                setting_columns(), tuple(setting_rows(contrast)), tuple(map(sample_of, frontiers))
            ),
            roofline=roofline_table(contrast),
            failed=failed_table(contrast),
            checks=check_table(contrast.validity.checks),
            provenance=provenance(contrast),
            commands=tuple(commands(contrast.provenance, parameters)),
            parameters=parameters.text,
        )


def make_page(
    contrast: WorkloadContrast,
    latencies: Sequence[LatencyPoint],
    parameters: Parameters,
    templates: Path,
    scripts: str,
) -> str:
    """The page as HTML.

    Args:
        contrast: the results of the run.
        latencies: latencies of the requests of E1, sorted in each workload.
        parameters: the parameters of the run.
        templates: folder of the Vega-Lite templates.
        scripts: JavaScript that draws charts.
    """
    charts = make_charts(contrast, latencies, templates)
    content = {
        "report": Report.of(contrast, charts, parameters),
        "specs": {name: chart.spec for name, chart in charts.items() if chart.spec},
        "scripts": Markup(scripts),
    }
    return render(TEMPLATE, content)


def _warnings(contrast: WorkloadContrast) -> Iterator[tuple[str, str]]:
    if contrast.quality_not_available:
        yield "No quality.", contrast.quality_not_available
    if prompts_are_raw(contrast.provenance):
        yield "Raw prompts.", RAW_PROMPTS
    if contrast.failed:
        yield (
            "Incomplete.",
            f"{len(contrast.failed)} of the planned cells could not be measured: see “Not "
            "measured”. A setting that failed in E2 in one workload is left out of both.",
        )


def _questions(answers: KeyAnswers) -> Iterator[tuple[str, str]]:
    """Each key question, in the words of the result file's schema, and its answer."""
    for name, field in KeyAnswers.model_fields.items():
        yield field.description or name, getattr(answers, name)


def _figure(chart: Chart) -> Figure:
    kind, drawn = chart.kind, chart.spec is not None
    with_numbers = drawn and kind.id not in NO_NUMBERS
    numbers = rows_table(f"Numbers of “{kind.heading}”", chart.rows) if with_numbers else None
    return Figure(kind.id, kind.heading, kind.alternative, drawn, numbers)
