"""Write the report of a run from its files."""

import re
from dataclasses import astuple, dataclass
from pathlib import Path

from m1.figures.inputs import read_contrast
from m1.files import write_text
from m1.pages.scripts import chart_scripts
from m1.reading import read_text
from m1.report.facts import Parameters
from m1.report.page import make_page

TEMPLATES = Path(".dvc/plots")


@dataclass(frozen=True)
class RunFiles:
    """The files from which a report is made, as paths from the root of a project."""

    contrast: Path = Path("metrics/m1_workload_contrast.json")
    cdf: Path = Path("plots/data/latency_cdf.json")
    params: Path = Path("params.yaml")

    @property
    def all(self) -> tuple[Path, ...]:
        """All files."""
        return astuple(self)

    def inside(self, project: Path) -> "RunFiles":
        """The same files in another copy of the project."""
        return RunFiles(*(project / file for file in self.all))


def page_file(revision: str | None) -> Path:
    """The default file of the page. For the workspace, `dvc repro` writes the same file."""
    of = "" if revision is None else "_" + re.sub(r"[^\w.-]+", "-", revision)
    return Path("data/report") / f"m1_report{of}.html"


def write_report(files: RunFiles, templates: Path, out: Path) -> None:
    """Write the report of a run.

    Args:
        files: the files of the run.
        templates: folder of the Vega-Lite templates.
        out: file of the page.

    Raises:
        UserError: if a file cannot be read, files do not belong together, or the page cannot be
            written.
    """
    contrast, latencies = read_contrast(files.contrast, files.cdf)
    parameters = Parameters.parse(read_text(files.params), files.params)
    write_text(make_page(contrast, latencies, parameters, templates, chart_scripts()), out)
