"""More results of E2's timed requests: their number, the parts of decode time, decode modes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from m1.analysis.bootstrap import Resamples
from m1.analysis.cells import TimedCells, make_timed_cells, of_settings, rows_in_pass, rows_of
from m1.analysis.decode_split import split_decode
from m1.analysis.latency import make_stage_result
from m1.analysis.roofline import make_roofline
from m1.analysis.samples import Sample, draw_samples, timed_sizes
from m1.analysis.sensitivity import draw_moves, sensitivity_points
from m1.params import AnalysisParams
from m1.schemas.decode import AtReferenceLength, DecodeSplits
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SampleSize, StageResult
from m1.schemas.roofline import CellRoofline
from m1.schemas.settings import DecodeMode, decode_passes


@dataclass(frozen=True)
class TimedResults:
    """Results of the timed requests of both workloads."""

    sizes: dict[Workload, SampleSize]
    """The number of timed requests at each setting."""
    decode_split: dict[Workload, DecodeSplits]
    """Length and speed in each change of decode time."""
    roofline: dict[Workload, tuple[CellRoofline, ...]]
    """Each stage compared with the limits of the device."""
    at_reference_length: dict[Workload, AtReferenceLength] | None
    """Results of the pass in the second decode mode; `None` if there was no such pass."""


def make_timed_results(
    rows: pd.DataFrame,
    scores: Mapping[Workload, pd.DataFrame] | None,
    run: ProfileRun,
    analysis: AnalysisParams,
) -> TimedResults:
    """Describe the timed requests, in the same draws as the frontiers.

    Args:
        rows: all measured rows.
        scores: each workload's scored answers, for images that are in both samples; `None` if
            there are no answers.
        run: the record of the profile run.
        analysis: resamples and confidence.

    Raises:
        UserError: if a request was not measured once at every setting.
    """
    main, *further = decode_passes(run.decode_mode)
    e2 = of_settings(rows_in_pass("e2", main, rows), run.measured_grid)
    resamples = draw_samples(e2, pd.concat(scores.values()) if scores else None, analysis)
    cells = {w: make_timed_cells(w, rows_of(w, e2), run.measured_grid) for w in WORKLOADS}
    return TimedResults(
        sizes=timed_sizes(e2),
        decode_split={
            w: split_decode(cells[w], resamples[w, "timed"], analysis.confidence) for w in WORKLOADS
        },
        roofline={
            w: make_roofline(cells[w], resamples[w, "timed"], run, analysis.confidence)
            for w in WORKLOADS
        },
        at_reference_length=_second_pass(further[0], rows, resamples, run, analysis)
        if further
        else None,
    )


def _second_pass(
    mode: DecodeMode,
    rows: pd.DataFrame,
    resamples: Mapping[Sample, Resamples],
    run: ProfileRun,
    analysis: AnalysisParams,
) -> dict[Workload, AtReferenceLength]:
    e1, e2 = (rows_in_pass(experiment, mode, rows) for experiment in ("e1", "e2"))
    stages = make_stage_result(e1, run.reference, analysis)
    e2 = of_settings(e2, run.measured_grid)
    cells = {w: make_timed_cells(w, rows_of(w, e2), run.measured_grid) for w in WORKLOADS}
    return {
        w: _at_reference_length(w, stages, cells[w], resamples[w, "timed"], analysis.confidence)
        for w in WORKLOADS
    }


def _at_reference_length(
    workload: Workload,
    stages: StageResult,
    cells: TimedCells,
    resamples: Resamples,
    confidence: float,
) -> AtReferenceLength:
    moves = draw_moves(cells, resamples, quality=None)
    return AtReferenceLength(
        stage_breakdown=stages.stage_breakdown[workload],
        latency=stages.latency[workload],
        mean_output_tokens=stages.mean_output_tokens[workload],
        sensitivity=sensitivity_points(moves, confidence),
        decode_split=split_decode(cells, resamples, confidence),
    )
