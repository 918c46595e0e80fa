"""Numbers and texts with limits, and a number for each workload.

Every parameter has an upper bound. It is far above all useful values, and below values that no
machine can handle. Infinity and NaN are outside all bounds.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from m1.schemas.base import Record
from m1.schemas.requests import WORKLOADS, Workload


def _without_zero(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path cannot contain the null character")
    return text


Share = Annotated[float, Field(ge=0.0, le=1.0)]
RelativeLimit = Annotated[float, Field(gt=0.0, le=1.0)]
"""Limit of a change or a spread, as a share of the quantity that changes."""
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
PositiveInt = Annotated[int, Field(ge=1, le=10_000_000)]
Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
"""Up to a day."""
PathText = Annotated[str, Field(max_length=4096), AfterValidator(_without_zero)]
PromptText = Annotated[str, Field(max_length=50_000)]


class PerWorkload(Record):
    """A number for each workload."""

    qa: PositiveInt
    """The number for question answering."""
    captioning: PositiveInt
    """The number for captioning."""

    def of(self, workload: Workload) -> int:
        """The number of one workload."""
        return self.qa if workload == "qa" else self.captioning

    def by_workload(self) -> dict[Workload, int]:
        """Both numbers by the name of the workload."""
        return {workload: self.of(workload) for workload in WORKLOADS}

    def beyond(self, key: str, there: Mapping[Workload, int]) -> Iterator[str]:
        """A message for each workload in which these numbers are larger than the existing ones.

        Args:
            key: the key of the parameter, for the message.
            there: the existing number for each workload.
        """
        for workload, asked in self.by_workload().items():
            if asked > there[workload]:
                yield f"{key}.{workload}: {asked} asked for, only {there[workload]} exist"
