"""Numbers within bounds, and one for each workload."""

from typing import Annotated

from pydantic import Field

from m1.schemas.base import Record
from m1.schemas.requests import WORKLOADS, Workload

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]


class PerWorkload(Record):
    """A number for each workload."""

    qa: PositiveInt
    """For question answering."""
    captioning: PositiveInt
    """For captioning."""

    def of(self, workload: Workload) -> int:
        """The number of one workload."""
        return self.qa if workload == "qa" else self.captioning

    def by_workload(self) -> dict[Workload, int]:
        """Both numbers by the name of the workload."""
        return {workload: self.of(workload) for workload in WORKLOADS}
