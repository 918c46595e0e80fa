"""The course of the machine's speed over a run, known from its anchors.

Anchors are the same requests at the same setting in every trial, so only the machine makes their
times vary. Times divided by the course are those of a machine that kept its mean speed. The time to
first token and decode each have their own course, because a machine may slow down one of them more
than the other: prefill needs arithmetic, decode needs memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.schemas.profile import REPEATED, MeasuredRequest

# Fast changes of speed hit single requests. They cannot be known from other requests, and are noise
# of the requests themselves. The course is the slow part, so it is averaged over neighbouring
# trials. With 3 it is as close as with 1, which takes over the noise of a few anchors, and closer
# than with 5 or 9 (docs/log.md, 2026-11-27).
TRIALS_IN_WINDOW = 3
N_THIRDS = 3
"""Parts of a run that are compared to see whether the machine kept its speed."""

Numbers = NDArray[np.floating[Any]]

BEFORE_FIRST_TOKEN = ("vision_ms", "projector_ms", "prefill_ms")
TIMES = [*BEFORE_FIRST_TOKEN, "decode_ms", "total_ms"]


@dataclass(frozen=True)
class Course:
    """How slow the machine was in each trial, as a multiple of the mean over the run."""

    first_token: "pd.Series[float]"
    """Of the time to first token, by trial."""
    decode: "pd.Series[float]"
    """Of decode, by trial."""

    def without(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with times as if the machine had kept its mean speed.

        Rows without marks have no stages, so their total stays as it is.
        """
        steady = rows.copy()
        first_token, decode = (part.reindex(rows["trial"]).to_numpy() for part in self._parts)
        for column in BEFORE_FIRST_TOKEN:
            steady[column] = rows[column] / first_token
        steady["decode_ms"] = rows["decode_ms"] / decode
        before = rows["total_ms"] - rows["decode_ms"]
        total = before / first_token + steady["decode_ms"]
        steady["total_ms"] = total.where(rows["marked"], rows["total_ms"])
        return steady

    def thirds(self) -> tuple[float, float]:
        """The fastest and the slowest third of the run, as multiples of its mean."""
        parts = [part.to_numpy() for part in self._parts]
        means = [float(third.mean()) for part in parts for third in thirds(part)]
        return min(means), max(means)

    @property
    def _parts(self) -> tuple["pd.Series[float]", "pd.Series[float]"]:
        return self.first_token, self.decode


def table_of_times(rows: Sequence[MeasuredRequest]) -> pd.DataFrame:
    """The columns of rows that a course is made of, and divides."""
    columns = (
        "experiment", "workload", "request_id", "order", "trial", "marked", "n_output_tokens",
        *TIMES,
    )  # fmt: skip
    table = pd.DataFrame({column: [getattr(row, column) for row in rows] for column in columns})
    return table.astype(dict.fromkeys(TIMES, np.float64))


def course_of(rows: pd.DataFrame) -> Course:
    """The course of a run. Without anchors it is 1 in every trial.

    Args:
        rows: all rows of the run.
    """
    anchors = rows[rows["experiment"].isin(REPEATED) & rows["marked"]]
    trials = np.sort(rows["trial"].unique())
    return Course(
        first_token=_smooth(_relative(anchors, first_token_ms(anchors)), trials),
        decode=_smooth(_relative(anchors, decode_ms_per_token(anchors)), trials),
    )


def first_token_ms(rows: pd.DataFrame) -> "pd.Series[float]":
    """Time to first token of each row, which depends little on the text of a request."""
    return rows["total_ms"] - rows["decode_ms"]


def decode_ms_per_token(rows: pd.DataFrame) -> "pd.Series[float]":
    """Time of each token after the first; NaN for outputs of one token."""
    steps = rows["n_output_tokens"] - 1
    return rows["decode_ms"] / steps.where(steps > 0)


def thirds(values: Numbers) -> list[Numbers]:
    """The first, middle and last third of values; fewer parts of fewer than three values."""
    third = max(1, len(values) // N_THIRDS)
    return [part for part in np.split(values, [third, len(values) - third]) if len(part)]


def _relative(rows: pd.DataFrame, times: "pd.Series[float]") -> "pd.Series[float]":
    """Each time as a multiple of its request's mean, by trial and in the order of trials."""
    mean = times.groupby([rows["workload"], rows["request_id"]]).transform("mean")
    return (times / mean).groupby(rows["trial"]).mean().dropna()


def _smooth(by_trial: "pd.Series[float]", trials: NDArray[np.int64]) -> "pd.Series[float]":
    """The mean of neighbouring trials, as a multiple of the mean over the run."""
    if by_trial.empty:
        return pd.Series(1.0, index=trials)
    known = by_trial.reindex(trials).interpolate(limit_direction="both")
    smooth = known.rolling(TRIALS_IN_WINDOW, center=True, min_periods=1).mean()
    return smooth / smooth.mean()
