"""E2 of one workload as arrays of requests by settings: timed requests and scored requests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.draws.bootstrap import Values
from m1.errors import UserError
from m1.schemas.profile import STAGES
from m1.schemas.requests import Workload
from m1.schemas.settings import KNOBS, DecodeMode, Knob, Setting

STAGE_COLUMNS = [f"{stage}_ms" for stage in STAGES]
DECODE = STAGES.index("decode")


@dataclass(frozen=True)
class TimedCells:
    """Every timed request at every setting. Settings are therefore paired."""

    workload: Workload
    """Whose requests."""
    settings: tuple[Setting, ...]
    """The settings, the reference first [n_settings]."""
    images: tuple[str, ...]
    """Image of each request [n_requests]."""
    total_ms: Values
    """Latency [n_requests, n_settings]."""
    stage_ms: Values
    """Time of each stage [n_stages, n_requests, n_settings]."""
    n_decode_steps: Values
    """Tokens after the first; each is one decode step [n_requests, n_settings]."""


@dataclass(frozen=True)
class ScoredCells:
    """Every scored request at every setting. These are not the timed requests."""

    images: tuple[str, ...]
    """Image of each request [n_requests]."""
    quality: Values
    """VQA accuracy or CIDEr-D [n_requests, n_settings]."""
    cut: Values
    """1 if the output was cut at the length limit, else 0 [n_requests, n_settings]."""


def make_timed_cells(
    workload: Workload, rows: pd.DataFrame, settings: Sequence[Setting]
) -> TimedCells:
    """Arrange the measured rows of one workload's E2.

    Raises:
        UserError: if a request was not measured once at every setting.
    """
    table = _Table(rows, settings)
    if not table.is_complete:
        raise UserError(
            f"{workload}: {len(rows)} rows of E2 are not {table.n_requests} requests measured "
            f"once at each of {len(settings)} settings: profile again (`dvc repro profile`)"
        )
    return TimedCells(
        workload=workload,
        settings=tuple(settings),
        images=table.images(),
        total_ms=table.values("total_ms"),
        stage_ms=np.stack([table.values(column) for column in STAGE_COLUMNS]),
        n_decode_steps=table.values("n_output_tokens") - 1,
    )


def make_scored_cells(
    workload: Workload, scores: pd.DataFrame, settings: Sequence[Setting]
) -> ScoredCells:
    """Arrange the scored answers of one workload.

    Raises:
        UserError: if a request was not answered once at every setting.
    """
    table = _Table(scores.assign(cut=scores["finish_reason"] == "length"), settings)
    if not table.is_complete:
        raise UserError(
            f"{workload}: {len(scores)} answers are not {table.n_requests} requests answered once "
            f"at each of {len(settings)} settings: answer again (`dvc repro answers`)"
        )
    return ScoredCells(
        images=table.images(), quality=table.values("quality"), cut=table.values("cut")
    )


class _Table:
    """Rows by request and setting."""

    def __init__(self, rows: pd.DataFrame, settings: Sequence[Setting]) -> None:
        self.rows = rows.assign(label=labels_of(rows)).sort_values("request_id")
        self.labels = [setting.label for setting in settings]
        self.n_requests = rows["request_id"].nunique()

    @property
    def is_complete(self) -> bool:
        """Whether every request occurs exactly once at every setting."""
        pairs = pd.MultiIndex.from_product([self.rows["request_id"].unique(), self.labels])
        there = pd.MultiIndex.from_frame(self.rows[["request_id", "label"]])
        complete = there.is_unique and pairs.symmetric_difference(there).empty
        return self.n_requests > 0 and complete

    def images(self) -> tuple[str, ...]:
        return tuple(self.rows.drop_duplicates("request_id")["image_id"])

    def values(self, column: str) -> Values:
        cells = self.rows.pivot(index="request_id", columns="label", values=column)
        return cells[self.labels].to_numpy(dtype=np.float64)


def labels_of(frame: pd.DataFrame) -> list[str]:
    """The label of each row's setting."""
    # Knobs are at least 1, so 0 can stand for a knob that the model does not have.
    values = frame[list(KNOBS)].astype("Int64").fillna(0)
    rows = list(values.itertuples(index=False, name=None))
    labels = {
        row: Setting(**{k: int(v) or None for k, v in zip(KNOBS, row, strict=True)}).label
        for row in set(rows)
    }
    return [labels[row] for row in rows]


def rows_in_pass(experiment: str, mode: DecodeMode, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one experiment that were measured in one decode mode."""
    return rows[(rows["experiment"] == experiment) & (rows["decode_mode"] == mode)]


def of_settings(frame: pd.DataFrame, settings: Sequence[Setting]) -> pd.DataFrame:
    """The rows of some settings, for example of all settings that could be measured."""
    return frame[pd.Series(labels_of(frame), frame.index).isin([s.label for s in settings])]


def rows_of(workload: Workload, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one workload.

    Raises:
        UserError: if there are none.
    """
    of_workload = rows[rows["workload"] == workload]
    if of_workload.empty:
        raise UserError(f"{workload}: no measured rows: profile again (`dvc repro profile`)")
    return of_workload


def single_knob_moves(settings: Sequence[Setting], knob: Knob) -> dict[int, int]:
    """Map each value of a knob to the index of the setting that has only this knob changed.

    The setting is compared with the first setting, the reference. Largest values come first. A
    knob with one value has no moves.
    """
    found = {
        getattr(setting, knob): i
        for i, setting in enumerate(settings)
        if i and at_reference(setting, knob, settings[0]) == settings[0]
    }
    return dict(sorted(found.items(), reverse=True))


def at_reference(setting: Setting, knob: Knob, reference: Setting) -> Setting:
    """The setting with one knob at its reference value."""
    return setting.model_copy(update={knob: getattr(reference, knob)})
