"""The inputs of figures: the contrast of a run, and its latencies."""

from pathlib import Path

from m1.errors import UserError
from m1.figures.latency_cdf import LatencyPoint
from m1.files import read_plot_rows, read_record
from m1.origin import apart, rows_fingerprint
from m1.schemas.results import WorkloadContrast

MAKE_BOTH = "make both again (`dvc repro contrast`)"


def read_contrast(contrast: Path, cdf: Path) -> tuple[WorkloadContrast, list[LatencyPoint]]:
    """Read the contrast of a run and the plot data of its latencies.

    Raises:
        UserError: if a file cannot be read, or both belong to different runs.
    """
    result = read_record(WorkloadContrast, contrast)
    points = read_plot_rows(LatencyPoint, cdf)
    if not points:
        raise UserError(f"{cdf}: no rows; run the contrast stage again")
    if rows_fingerprint(points) != result.latency_cdf_fingerprint:
        raise apart(contrast, cdf, "the latencies are those of another run", MAKE_BOTH)
    return result, points
