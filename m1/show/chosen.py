"""Choose the scored outputs to show, and their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from m1.analysis.frontier.scoring import scored_answers
from m1.errors import UserError
from m1.reading import shown
from m1.schemas.requests import Request
from m1.schemas.results import ScoredAnswer
from m1.show.scored import ScoredOutputs

ALL = "all"
MOST_NAMED = 8


@dataclass(frozen=True)
class Wanted:
    """The user's choice of outputs."""

    setting: str | None = None
    """Label of a setting, or `all`. `None` is the reference setting, or all for one request."""
    request_id: str | None = None
    """Id of the only request to show; `None` for all."""
    n_requests: int = 20
    """How many requests of a workload; 0 for all."""
    best_first: bool = False
    """Whether the best outputs come first, instead of the worst."""


@dataclass(frozen=True)
class Answered:
    """A request, with the outputs to show."""

    request: Request
    answers: tuple[ScoredAnswer, ...]
    """The outputs at one setting or more, in the wanted order."""


@dataclass(frozen=True)
class Chosen:
    """The outputs of a workload to show."""

    outputs: ScoredOutputs
    """All scored outputs of the workload."""
    wanted: Wanted
    """The user's choice."""
    setting: str
    """Label of the setting, or `all`."""
    answered: tuple[Answered, ...]
    """The requests, ordered by their mean quality over the settings."""
    n_requests: int
    """The number of all requests from which these were chosen."""
    mean_quality: float
    """Mean quality over all these requests."""


def choose(outputs: Sequence[ScoredOutputs], wanted: Wanted) -> list[Chosen]:
    """The wanted outputs of some workloads.

    Raises:
        UserError: if there are no such outputs.
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
