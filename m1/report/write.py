"""From the files of a run to the file of its report."""

from dataclasses import dataclass
from pathlib import Path

from m1.errors import UserError
from m1.figures.latency_cdf import LatencyPoint
from m1.files import read_plot_rows, read_record, write_text
from m1.origin import apart, rows_fingerprint
from m1.pages.scripts import chart_scripts
from m1.reading import read_text
from m1.report.facts import Parameters
from m1.report.page import make_page
from m1.schemas.results import WorkloadContrast

TEMPLATES = Path(".dvc/plots")
MAKE_BOTH = "make both again (`dvc repro contrast`)"


@dataclass(frozen=True)
class ReportFiles:
    """What a report is made from."""

    contrast: Path = Path("metrics/m1_workload_contrast.json")
    latencies: Path = Path("plots/data/latency_cdf.json")
    params: Path = Path("params.yaml")

    def all(self) -> tuple[Path, ...]:
        """Every one of them."""
        return self.contrast, self.latencies, self.params

    def within(self, project: Path) -> "ReportFiles":
        """The same in another folder."""
        return ReportFiles(*(project / path for path in self.all()))


def write_report(files: ReportFiles, templates: Path, out: Path) -> None:
    """Write the report of a run.

    Args:
        files: of the run.
        templates: folder of the Vega-Lite templates.
        out: where the page goes.

    Raises:
        UserError: if a file cannot be read, they do not belong together, or the page cannot be
            written.
    """
    contrast = read_record(WorkloadContrast, files.contrast)
    latencies = read_plot_rows(LatencyPoint, files.latencies)
    if not latencies:
        raise UserError(f"{files.latencies}: no rows; run the contrast stage again")
    if rows_fingerprint(latencies) != contrast.latency_cdf_fingerprint:
        wrong = "the latencies are those of another run"
        raise apart(files.contrast, files.latencies, wrong, MAKE_BOTH)
    parameters = Parameters.parse(read_text(files.params), files.params)
    page = make_page(contrast, latencies, parameters, templates, chart_scripts())
    write_text(page, out)
