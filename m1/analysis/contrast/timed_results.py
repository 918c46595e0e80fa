"""More results of E2's timed requests: their number, the parts of decode time, decode modes."""

from dataclasses import dataclass

from m1.analysis.experiments import E1, E2, Experiments
from m1.analysis.latency.decode_split import split_decode
from m1.analysis.latency.roofline import make_roofline
from m1.analysis.latency.sensitivity import draw_moves, sensitivity_points
from m1.analysis.latency.stages import make_stage_result
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import Workload
from m1.schemas.results import SampleSize
from m1.schemas.results.decode import AtReferenceLength, DecodeSplits
from m1.schemas.results.roofline import CellRoofline
from m1.schemas.settings import Setting


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


def make_timed_results(experiments: Experiments, run: ProfileRun) -> TimedResults:
    """Describe the timed requests, in the same draws as the frontiers.

    Args:
        experiments: E1 and E2 of the run.
        run: the record of the profile run.
    """
    timed, drawn = experiments.e2.timed, experiments.e2.resamples
    second = experiments.second_pass
    return TimedResults(
        sizes={w: drawn.size_of(cells.images) for w, cells in timed.items()},
        decode_split={w: split_decode(cells, drawn) for w, cells in timed.items()},
        roofline={w: make_roofline(cells, drawn, run) for w, cells in timed.items()},
        at_reference_length=_at_reference_length(*second, run.reference) if second else None,
    )


def _at_reference_length(e1: E1, e2: E2, reference: Setting) -> dict[Workload, AtReferenceLength]:
    stages, drawn = make_stage_result(e1, reference), e2.resamples
    return {
        w: AtReferenceLength(
            stage_breakdown=stages.stage_breakdown[w],
            latency=stages.latency[w],
            mean_output_tokens=stages.mean_output_tokens[w],
            sensitivity=sensitivity_points(
                draw_moves(cells, drawn, quality=None), drawn.confidence
            ),
            decode_split=split_decode(cells, drawn),
        )
        for w, cells in e2.timed.items()
    }
