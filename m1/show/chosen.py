"""Which of the scored outputs are to be shown, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from m1.analysis.scoring import scored_answers
from m1.errors import UserError
from m1.reading import shown
from m1.schemas.requests import Request
from m1.schemas.results import ScoredAnswer
from m1.show.scored import ScoredOutputs

ALL = "all"
MOST_NAMED = 8


@dataclass(frozen=True)
class Wanted:
    """Which outputs are wanted."""

    setting: str | None = None
    """Label of a setting, or `all`; nothing for the reference setting, or all of one request."""
    request_id: str | None = None
    """One request alone."""
    n_requests: int = 20
    """How many requests of a workload; 0 for all."""
    best_first: bool = False
    """Whether the best come first, not the worst."""


@dataclass(frozen=True)
class Answered:
    """A request, and the outputs that are to be shown of it."""

    request: Request
    answers: tuple[ScoredAnswer, ...]
    """At one setting or more, in the order that is wanted."""


@dataclass(frozen=True)
class Chosen:
    """The outputs of a workload that are to be shown."""

    outputs: ScoredOutputs
    """Whose choice this is."""
    wanted: Wanted
    """What was asked for."""
    setting: str
    """Label of the setting, or `all`."""
    answered: tuple[Answered, ...]
    """The requests, ordered by their mean quality over the settings."""
    n_requests: int
    """How many requests these are out of."""
    mean_quality: float
    """Over all of those."""


def choose(outputs: Sequence[ScoredOutputs], wanted: Wanted) -> list[Chosen]:
    """The outputs of some workloads that are wanted.

    Raises:
        UserError: if there are none.
    """
    asked = wanted.request_id
    holding = [one for one in outputs if asked is None or asked in set(one.rows["request_id"])]
    if not holding:
        names = " and ".join(one.workload for one in outputs)
        raise UserError(
            f"--request {shown(asked or '')}: not among the scored requests of {names}, such as "
            f"{shown(outputs[0].rows['request_id'].iloc[0])}"
        )
    return [_chosen(one, wanted) for one in holding]


def _chosen(outputs: ScoredOutputs, wanted: Wanted) -> Chosen:
    rows, asked = outputs.rows, wanted.request_id
    setting = wanted.setting or (outputs.reference if asked is None else ALL)
    if setting != ALL:
        rows = _at(setting, outputs)
    if asked is not None:
        rows = rows[rows["request_id"] == asked]
    rows = rows.sort_values("quality", ascending=not wanted.best_first, kind="stable")
    means = rows.groupby("request_id", sort=False)["quality"].mean()
    ordered = means.sort_values(ascending=not wanted.best_first, kind="stable")
    ids = list(ordered.index[: wanted.n_requests or None])
    answered = tuple(_answered(outputs, ids, rows))
    return Chosen(outputs, wanted, setting, answered, len(means), float(rows["quality"].mean()))


def _at(setting: str, outputs: ScoredOutputs) -> pd.DataFrame:
    """The rows of a setting.

    Raises:
        UserError: if there are none.
    """
    rows = outputs.rows[outputs.rows["label"] == setting]
    if rows.empty:
        labels = list(outputs.rows["label"].unique())
        named = ", ".join(labels[:MOST_NAMED]) + (", ..." if len(labels) > MOST_NAMED else "")
        raise UserError(
            f"--setting {shown(setting)}: no {outputs.workload} outputs there; give one of "
            f"{len(labels)} settings ({named}) or all"
        )
    return rows


def _answered(outputs: ScoredOutputs, ids: Sequence[str], rows: pd.DataFrame) -> Sequence[Answered]:
    groups = dict(tuple(rows[rows["request_id"].isin(ids)].groupby("request_id")))
    return [
        Answered(
            outputs.requests[name],
            tuple(scored_answers(groups[name].drop(columns="label"))),
        )
        for name in ids
    ]
