"""Draw the figures of M1 from the results in metrics/ and plots/data/."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.figures.coupling import draw_coupling
from m1.figures.decode_split import draw_decode_split
from m1.figures.inputs import read_contrast
from m1.figures.latency_cdf import draw_latency_cdf
from m1.figures.pareto import draw_pareto
from m1.figures.roofline import draw_roofline
from m1.figures.sensitivity import draw_sensitivity
from m1.figures.stage_breakdown import draw_stage_breakdown
from m1.figures.style import save_figure
from m1.files import written_together
from m1.schemas.results.roofline import cells_at


def main(
    contrast: Annotated[Path, typer.Option(help="The contrast of both workloads.")],
    cdf: Annotated[Path, typer.Option(help="Plot data of the latency distributions.")],
    out: Annotated[Path, typer.Option(help="Folder of the figures.")],
) -> None:
    """Draw the figures of M1."""
    result, points = read_contrast(contrast, cdf)
    figures = {
        "m1_stage_breakdown.png": draw_stage_breakdown(result),
        "m1_latency_cdf.png": draw_latency_cdf(result, points),
        "m1_pareto_comparison.png": draw_pareto(result),
        "m1_knob_sensitivity.png": draw_sensitivity(result),
        "m1_decode_split.png": draw_decode_split(result),
        "m1_knob_coupling.png": draw_coupling(result),
    }
    with written_together() as results:
        if cells_at(result.reference, result.roofline):
            figures["m1_roofline.png"] = draw_roofline(result)
        else:
            # Remove the figure of another run if this run has none.
            results.nothing(out / "m1_roofline.png")
        for name, figure in figures.items():
            save_figure(figure, results.file(out / name))


if __name__ == "__main__":
    run_command(main)
