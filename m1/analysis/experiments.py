"""E1 and E2 with their resamples. They are drawn once, so all results share the same draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from m1.analysis.cells import (
    ScoredCells,
    TimedCells,
    make_scored_cells,
    make_timed_cells,
    of_settings,
    rows_in_pass,
    rows_of,
)
from m1.analysis.draws.bootstrap import Resamples, draw_samples, resamples_of
from m1.machine_course import Course, course_of
from m1.params import AnalysisParams
from m1.schemas.profile import REPEATED, ProfileRun
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import Setting, decode_passes

Scores = Mapping[Workload, pd.DataFrame]


@dataclass(frozen=True)
class E1:
    """Requests at the reference setting."""

    rows: Mapping[Workload, pd.DataFrame]
    """Measured rows of each workload."""
    steady: Mapping[Workload, pd.DataFrame]
    """The same without the course of the machine, for ratios."""
    repeats: Mapping[Workload, pd.DataFrame] | None
    """Rows of the requests that every trial measured; `None` if nobody asks for jitter."""
    resamples: Resamples
    """Draws of the clusters of both workloads."""

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        analysis: AnalysisParams,
        repeats: pd.DataFrame | None = None,
        course: Course | None = None,
    ) -> "E1":
        """E1 of both workloads.

        Args:
            rows: measured rows of E1.
            analysis: number of resamples, their seed, and the confidence of intervals.
            repeats: rows of the requests that every trial measured, at the native setting.
            course: the course of the machine in the run; `None` if it is not known.

        Raises:
            UserError: if a workload has no rows, or all rows are of one cluster.
        """
        return cls(
            rows={w: rows_of(w, rows) for w in WORKLOADS},
            steady={w: rows_of(w, course.without(rows) if course else rows) for w in WORKLOADS},
            repeats=None
            if repeats is None
            else {w: repeats[repeats["workload"] == w] for w in WORKLOADS},
            resamples=resamples_of(rows, analysis),
        )


@dataclass(frozen=True)
class E2:
    """Requests at every setting of the grid: timed requests, and scored requests.

    Times are without the course of the machine: those of a machine that kept its mean speed.
    """

    timed: Mapping[Workload, TimedCells]
    """Timed requests of each workload."""
    scored: Mapping[Workload, ScoredCells] | None
    """Scored requests of each workload; `None` if outputs are no answers."""
    resamples: Resamples
    """Draws of the clusters of both workloads and both samples."""

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        scores: Scores | None,
        grid: Sequence[Setting],
        analysis: AnalysisParams,
    ) -> "E2":
        """E2 of both workloads.

        Args:
            rows: measured rows of E2.
            scores: the scored answers of each workload; `None` if there are none.
            grid: all settings, the reference first.
            analysis: number of resamples, their seed, and the confidence of intervals.

        Raises:
            UserError: if a request was not measured, or not answered, once at every setting.
        """
        return cls(
            timed=timed_cells(rows, grid),
            scored={w: make_scored_cells(w, scores[w], grid) for w in WORKLOADS}
            if scores
            else None,
            resamples=draw_samples(rows, pd.concat(scores.values()) if scores else None, analysis),
        )


@dataclass(frozen=True)
class Experiments:
    """E1 and E2 of one run."""

    e1: E1
    e2: E2
    second_pass: tuple[E1, E2] | None
    """The same at the length of the reference answers, if the run measured both decode modes."""
    course: Course
    """The course of the machine in the run."""

    @classmethod
    def of(
        cls, run: ProfileRun, rows: pd.DataFrame, scores: Scores | None, analysis: AnalysisParams
    ) -> "Experiments":
        """The experiments of a run.

        Args:
            run: the record of the run.
            rows: all measured rows.
            scores: the scored answers of each workload; `None` if there are none.
            analysis: number of resamples, their seed, and the confidence of intervals.

        Raises:
            UserError: if rows or answers are missing.
        """
        main, *further = decode_passes(run.decode_mode)
        course = course_of(rows)
        steady = course.without(rows)
        passes = {
            mode: (
                rows_in_pass("e1", mode, rows),
                of_settings(rows_in_pass("e2", mode, steady), run.measured_grid),
            )
            for mode in (main, *further)
        }
        e1_rows, e2_rows = passes[main]
        e2 = E2.of(e2_rows, scores, run.measured_grid, analysis)
        second = None
        if further:
            e1_rows_again, e2_rows_again = passes[further[0]]
            timed = timed_cells(e2_rows_again, run.measured_grid)
            # Both passes measure the same requests in the same trials, so the draws serve both.
            e1_again = E1.of(e1_rows_again, analysis, course=course)
            second = e1_again, replace(e2, timed=timed, scored=None)
        repeats = rows[rows["experiment"].isin(REPEATED)]
        return cls(E1.of(e1_rows, analysis, repeats, course), e2, second, course)


def timed_cells(rows: pd.DataFrame, grid: Sequence[Setting]) -> dict[Workload, TimedCells]:
    """The timed requests of each workload."""
    return {w: make_timed_cells(w, rows_of(w, rows), grid) for w in WORKLOADS}
