"""Result files of the pareto stage."""

import hashlib
from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.answers import Answer
from m1.schemas.base import Amount, Fingerprint, FromOne, Record
from m1.schemas.origin import MadeFrom
from m1.schemas.profile import FailedCell
from m1.schemas.requests import Workload
from m1.schemas.results.estimates import Estimate
from m1.schemas.results.frontier import Frontier

MOST: dict[Workload, float] = {"qa": 1.0, "captioning": 10.0}
"""The highest possible score of an output."""
ROUNDING = 1e-9


class ScoredAnswer(Answer):
    """An answer with its quality."""

    scored_text: str | None = None
    """The part of the output that was scored: without reasoning, and in question answering only the
    first line. Null if it was not recorded."""
    quality: Amount
    """VQA accuracy (0 to 1) or CIDEr-D (0 to 10) of the output."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.quality > MOST[self.workload] + ROUNDING:
            raise ValueError(f"quality is at most {MOST[self.workload]:g} in {self.workload}")
        return self


class Agreement(Record):
    """Whether batches give the same outputs as single requests: answers against E2's outputs."""

    n_pairs: FromOne
    """Number of pairs: the timed output and the answer of a request at a setting."""
    identical_share: Estimate
    """Share of pairs with the same text."""
    quality_difference: Estimate
    """Mean quality of the answers minus that of the timed outputs."""


class ParetoResult(Record):
    """E2 of one workload (`e2_pareto_<workload>.json`)."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    workload: Workload
    """Workload of the result."""
    quality_not_available: str | None
    """Why there is no frontier, in a sentence; null if there is a frontier."""
    frontier: Frontier | None
    """Quality and latency over the grid; null if there is no quality."""
    agreement: Agreement | None
    """Batches compared with single requests; null if there is no quality."""
    failed: tuple[FailedCell, ...] = ()
    """Cells of E2 that could not be measured. Their settings are left out of both workloads."""
    made_from: MadeFrom | None = None
    """The inputs of this result; null in results of earlier versions."""
    scores_fingerprint: Fingerprint | None = None
    """Fingerprint of the table of scored answers beside it; null in results of earlier versions."""
    fingerprint: Fingerprint | None = None
    """Fingerprint of everything else in this file; null in results of earlier versions."""

    @property
    def content_fingerprint(self) -> str:
        """The correct `fingerprint` of the present content."""
        content = self.model_dump_json(exclude={"fingerprint"})
        return hashlib.sha256(content.encode()).hexdigest()

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        check_absence(self.quality_not_available, self.frontier, self.agreement)
        if self.frontier and self.frontier.workload != self.workload:
            raise ValueError(f"the frontier of {self.workload} is that of {self.frontier.workload}")
        return self


def check_absence(reason: str | None, *results: object) -> None:
    """Check that either all results that need quality exist, or a reason for their absence.

    Raises:
        ValueError: if a result and the reason both exist, or if both are missing.
    """
    if any((result is None) == (reason is None) for result in results):
        raise ValueError(
            "results that need quality are null if and only if quality_not_available has a reason"
        )
