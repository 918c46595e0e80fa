"""Write the report of a run, one page for a browser."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.report.write import RunFiles, write_report


def main(
    contrast: Annotated[Path, typer.Option(help="The contrast of both workloads.")],
    cdf: Annotated[Path, typer.Option(help="Plot data of the latency distributions.")],
    params_file: Annotated[Path, typer.Option("--params", help="Parameters of the run.")],
    templates: Annotated[Path, typer.Option(help="Folder of the Vega-Lite templates.")],
    out: Annotated[Path, typer.Option(help="Where the page goes.")],
) -> None:
    """Write the report of a run."""
    write_report(RunFiles(contrast, cdf, params_file), templates, out)


if __name__ == "__main__":
    run_command(main)
