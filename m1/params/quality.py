"""Section `quality`: answers that are scored."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from m1.params.numbers import PerWorkload
from m1.schemas.base import Record
from m1.schemas.requests import Workload


class QualityParams(Record):
    """Section `quality`: requests that are answered in batches, separate from timed requests."""

    n_requests: PerWorkload
    """Requests answered at each setting of the grid."""
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """Requests answered in one batch."""

    def beyond(self, there: Mapping[Workload, int]) -> Iterator[str]:
        """A message for each parameter that asks for more requests than there are."""
        yield from self.n_requests.beyond("quality.n_requests", there)
