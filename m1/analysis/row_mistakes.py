"""Contradictions in a table of rows or answers, or between a table and its record."""

from collections.abc import Iterator, Mapping

import pandas as pd

from m1.analysis.cells import STAGE_COLUMNS, labels_of
from m1.origin import table_fingerprint
from m1.schemas.answers import AnswersMade
from m1.schemas.profile import REPEATED, ProfileRun
from m1.schemas.requests import RequestSet
from m1.schemas.settings import KNOBS, NATIVE, decode_passes

REQUEST = ["workload", "request_id"]
CELL = ["experiment", "workload", *KNOBS, "decode_mode", "marked"]


def mistakes_in_rows(run: ProfileRun, rows: pd.DataFrame) -> Iterator[str]:
    """The mistakes in the rows of a run, each as a clause."""
    if len(rows) != run.n_rows:
        yield f"n_rows is {run.n_rows}, and the table has {len(rows)} rows"
    yield from _of_another_table(run.rows_fingerprint, rows)
    labels = pd.Series(labels_of(rows), rows.index)
    # An anchor is measured once in every trial.
    trial = rows["trial"].where(rows["experiment"].isin(REPEATED))
    anchor = rows["experiment"] == "anchor"
    stages = rows[STAGE_COLUMNS].notna()
    yield from _told(
        rows,
        {
            "is at a setting that is not in grid": ~anchor
            & ~labels.isin([s.label for s in run.grid]),
            f"is not at the reference, {run.reference.label}": ~anchor
            & (rows["experiment"] != "e2")
            & (labels != run.reference.label),
            "is an anchor, but not at the native setting": anchor & (labels != NATIVE.label),
            f"is in another mode than decode_mode, {run.decode_mode}": ~rows["decode_mode"].isin(
                decode_passes(run.decode_mode)
            ),
            "has the order of another": rows["order"].duplicated() | (rows["order"] < 0),
            "is there more than once": rows[[*CELL, "request_id"]].assign(t=trial).duplicated(),
            "has marks without all stages, or stages without marks": (
                stages.all(axis=1) != rows["marked"]
            )
            | (stages.any(axis=1) != rows["marked"]),
            "wrote more than max_new_tokens": rows["n_output_tokens"]
            > rows["workload"].map(run.max_new_tokens),
        },
    )
    for cell in run.failed:
        names = ("experiment", "workload", "decode_mode")
        alike = [rows[name] == getattr(cell, name) for name in names]
        its = pd.concat([*alike, labels == cell.setting.label], axis=1).all(axis=1)
        yield from _told(rows, {f"is in a cell that failed, {cell.told}": its})
    yield from _of_two_images(rows)


def mistakes_in_answers(made: AnswersMade, answers: pd.DataFrame) -> Iterator[str]:
    """The mistakes in the table of answers, each as a clause."""
    if answers.empty:
        yield "there are no answers in the table"
    yield from _of_another_table(made.answers_fingerprint, answers)
    yield from _told(
        answers,
        {
            "is there more than once": answers.duplicated([*REQUEST, *KNOBS]),
            "wrote more than max_new_tokens": answers["n_output_tokens"]
            > answers["workload"].map(made.max_new_tokens),
        },
    )
    for workload, n in made.n_requests.items():
        found = answers.loc[answers["workload"] == workload, "request_id"].nunique()
        if found != n:
            yield f"n_requests of {workload} is {n}, and {found} were answered"
    yield from _of_two_images(answers)


def mistakes_of_requests(requests: RequestSet, rows: pd.DataFrame) -> Iterator[str]:
    """The mistakes in rows or answers that should belong to these requests, each as a clause."""
    images = {request.request_id: request.image_id for request in requests.requests}
    own = rows[rows["workload"] == requests.workload]
    there = own["request_id"].map(images)
    yield from _told(
        own,
        {"is not among the requests": there.isna(), "has another image": there != own["image_id"]},
    )


def _of_another_table(recorded: str | None, table: pd.DataFrame) -> Iterator[str]:
    """Whether a record belongs to another table. Records of earlier versions cannot show it."""
    if recorded is not None and recorded != (found := table_fingerprint(table)):
        yield f"the record is of a table with fingerprint {recorded[:8]}, this one has {found[:8]}"


def _of_two_images(rows: pd.DataFrame) -> Iterator[str]:
    pairs = rows.drop_duplicates([*REQUEST, "image_id"])
    yield from _told(pairs, {"is about two images": pairs.duplicated(REQUEST)})


def _told(rows: pd.DataFrame, wrong: Mapping[str, "pd.Series[bool]"]) -> Iterator[str]:
    """The first request of each kind that is wrong."""
    for what, which in wrong.items():
        if which.any():
            first = rows[which].iloc[0]
            yield f"{first['workload']} request {first['request_id']!r} {what}"
