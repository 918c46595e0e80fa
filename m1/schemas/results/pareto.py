"""Result files of the pareto stage."""

import hashlib
from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.answers import Answer
from m1.schemas.base import Record
from m1.schemas.estimates import Estimate
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import FailedCell
from m1.schemas.quantities import Amount, Fingerprint, FromOne
from m1.schemas.requests import Workload
from m1.schemas.results.frontier import Frontier

MOST: dict[Workload, float] = {"qa": 1.0, "captioning": 10.0}
"""The highest score an output can have."""
ROUNDING = 1e-9


class ScoredAnswer(Answer):
    """An answer with its quality."""

    scored_text: str | None = None
    """What of the output was scored: without reasoning, and of an answer the first line; null: not
    recorded."""
    quality: Amount
    """VQA accuracy (0 to 1) or CIDEr-D (0 to 10) of the output."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.quality > MOST[self.workload] + ROUNDING:
            raise ValueError(f"quality is at most {MOST[self.workload]:g} in {self.workload}")
        return self


class Agreement(Record):
    """Whether batches say what single requests say: E2's timed outputs against the answers."""

    n_pairs: FromOne
    """Requests that were both timed and answered, at every setting."""
    identical_share: Estimate
    """Share of pairs with the same text."""
    quality_difference: Estimate
    """Mean quality of the answers minus that of the timed outputs."""


class ParetoResult(Record):
    """E2 of one workload (`e2_pareto_<workload>.json`)."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    workload: Workload
    """Whose frontier."""
    quality_not_available: str | None
    """Why there is no frontier, in a sentence; null where there is one."""
    frontier: Frontier | None
    """Quality and latency over the grid; null where there is no quality."""
    agreement: Agreement | None
    """Batches against single requests; null where there is no quality."""
    failed: tuple[FailedCell, ...] = ()
    """Cells of E2 that could not be measured; their settings are left out of both workloads."""
    made_from: MadeFrom | None = None
    """What it was made from; null in results of earlier versions."""
    scores_fingerprint: Fingerprint | None = None
    """Of the table of scored answers beside it; null in results of earlier versions."""
    fingerprint: Fingerprint | None = None
    """Of all else in this file; null in results of earlier versions."""

    @property
    def content_fingerprint(self) -> str:
        """What `fingerprint` must be: of the content as it is now."""
        content = self.model_dump_json(exclude={"fingerprint"})
        return hashlib.sha256(content.encode()).hexdigest()

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        check_absence(self.quality_not_available, self.frontier, self.agreement)
        if self.frontier and self.frontier.workload != self.workload:
            raise ValueError(f"the frontier of {self.workload} is that of {self.frontier.workload}")
        return self


def check_absence(reason: str | None, *results: object) -> None:
    """What rests on quality is there, or a reason is, never both.

    Raises:
        ValueError: otherwise.
    """
    if any((result is None) == (reason is None) for result in results):
        raise ValueError("what rests on quality is null where quality_not_available says why")
