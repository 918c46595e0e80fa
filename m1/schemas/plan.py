"""What is planned before anything runs: the requests that were drawn, and what is made of them."""

from typing import Annotated, Literal

from pydantic import Field

from m1.schemas.base import Record
from m1.schemas.quantities import Count, FromOne
from m1.schemas.requests import ByWorkload, Request

PixelSize = tuple[FromOne, FromOne]
"""Width and height in pixels."""


class DrawnRequests(Record):
    """The requests that `prepare` will write for one workload."""

    source: str
    """Where they come from."""
    n_in_dataset: FromOne
    """Requests that the dataset has."""
    requests: Annotated[tuple[Request, ...], Field(min_length=1)]
    """Those that are drawn, in the order of the dataset."""
    image_sizes: dict[str, PixelSize]
    """Size of each image, by its id."""

    def images_of_first(self, n: int) -> dict[str, PixelSize]:
        """The images of the first requests by what they are called, with their sizes."""
        return {one.image: self.image_sizes[one.image_id] for one in self.requests[:n]}


class Drawn(Record):
    """The requests of both workloads (`data/plan/requests.json`), for `prepare` to come after."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made_from: str | None
    """SHA-256 over parameters, records of the datasets and code; null where a dataset is a folder,
    whose content it does not cover."""
    by_workload: ByWorkload[DrawnRequests]
    """The requests of each workload."""


class WorkloadPlan(Record):
    """How many requests of a workload there are, and what they are used for."""

    source: str
    """Where they come from."""
    n_in_dataset: FromOne
    """Requests that the dataset has."""
    n_requests: FromOne
    """Requests that are prepared."""
    n_images: FromOne
    """Images that they are about."""
    e1: FromOne
    """Requests measured at the reference setting."""
    e2: FromOne
    """Requests measured at each setting."""
    observer: FromOne
    """Requests measured with and without marks."""
    repeat: FromOne
    """Requests measured again in every trial."""
    answers: Count
    """Requests answered at each setting, to be scored; 0 where outputs would be no answers."""


class KnobLimits(Record):
    """What values the knobs of the model can take."""

    image_size: PixelSize
    """The commonest size of an image; visual tokens are those of such an image."""
    native_vision_tokens: Count
    """Visual tokens that the model makes of it untouched."""
    largest_vision_tokens: Count
    """The most that it came to when asked for four times as many."""
    can_have_more: bool
    """Whether that was no limit: larger images have more tokens."""
    near_vision_tokens: tuple[Count, ...]
    """Some numbers that it can do, the largest first."""
    reached: dict[str, Count]
    """Each value of `knobs.vision_tokens`, and the number that it comes to."""
    experts_per_token: FromOne | None
    """The most experts per token; null in a dense model."""
    n_blocks: FromOne
    """Decoder blocks."""
    least_blocks: FromOne
    """Fewest of them that can be active."""


class Plan(Record):
    """What a run will measure on a model, and what it cannot show (`data/plan/plan.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workloads: ByWorkload[WorkloadPlan]
    """The requests of each workload."""
    limits: KnobLimits
    """What values the knobs can take."""
    n_settings: FromOne
    """Settings of the grid."""
    n_measurements: FromOne
    """Requests that will be measured, over all settings; warm-up comes on top."""
    n_answers: Count
    """Answers that will be scored, over all settings."""
    fewer_than_asked: tuple[str, ...]
    """Where parameters ask for more requests than there are, in words."""
    cannot_pass: tuple[str, ...]
    """Checks of validity that this run cannot pass, whatever the machine does."""
    cannot_tell: tuple[str, ...]
    """What this run cannot decide or report, whatever comes out."""
    not_checked: tuple[str, ...]
    """What only loading the model, or measuring, will tell."""
