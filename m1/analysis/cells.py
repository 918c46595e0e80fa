"""The measured rows of a workload as arrays: requests by settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from m1.analysis.bootstrap import Draws
from m1.errors import UserError
from m1.schemas.profile import STAGES
from m1.schemas.requests import Workload
from m1.schemas.settings import KNOBS, Setting

STAGE_COLUMNS = [f"{stage}_ms" for stage in STAGES]


@dataclass(frozen=True)
class Cells:
    """E2 of one workload: every request at every setting, so that settings are paired."""

    workload: Workload
    """Whose requests."""
    settings: tuple[Setting, ...]
    """The settings, the reference first [n_settings]."""
    images: tuple[str, ...]
    """Image of each request [n_requests]."""
    total_ms: Draws
    """Latency [n_requests, n_settings]."""
    stage_ms: Draws
    """Time of each stage [n_stages, n_requests, n_settings]."""
    quality: Draws
    """VQA accuracy or CIDEr-D [n_requests, n_settings]."""


def make_cells(workload: Workload, scores: pd.DataFrame, settings: Sequence[Setting]) -> Cells:
    """Arrange the scored rows of one workload.

    Raises:
        UserError: if a request was not measured once at every setting.
    """
    frame = scores.assign(label=labels_of(scores)).sort_values("request_id")
    labels = [setting.label for setting in settings]
    _check_complete(workload, frame, labels)

    def table(column: str) -> Draws:
        cells = frame.pivot(index="request_id", columns="label", values=column)
        return cells[labels].to_numpy(dtype=np.float64)

    return Cells(
        workload=workload,
        settings=tuple(settings),
        images=tuple(frame.drop_duplicates("request_id")["image_id"]),
        total_ms=table("total_ms"),
        stage_ms=np.stack([table(column) for column in STAGE_COLUMNS]),
        quality=table("quality"),
    )


def labels_of(frame: pd.DataFrame) -> list[str]:
    """The setting of each row, by its label."""
    values = frame[list(KNOBS)].itertuples(index=False)
    return [
        Setting(
            **{k: None if pd.isna(v) else int(v) for k, v in zip(KNOBS, row, strict=True)}
        ).label
        for row in values
    ]


def _check_complete(workload: Workload, frame: pd.DataFrame, labels: Sequence[str]) -> None:
    requests = frame["request_id"].unique()
    pairs = pd.MultiIndex.from_product([requests, labels])
    measured = pd.MultiIndex.from_frame(frame[["request_id", "label"]])
    complete = measured.is_unique and pairs.symmetric_difference(measured).empty
    if not len(requests) or not complete:
        raise UserError(
            f"{workload}: {len(frame)} rows of E2 are not {len(requests)} requests measured once "
            f"at each of {len(labels)} settings: profile again (`dvc repro profile`)"
        )


def rows_of(workload: Workload, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one workload.

    Raises:
        UserError: if there are none.
    """
    of_workload = rows[rows["workload"] == workload]
    if of_workload.empty:
        raise UserError(f"{workload}: no measured rows: profile again (`dvc repro profile`)")
    return of_workload
