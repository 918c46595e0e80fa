"""The plan, made before anything runs: the drawn requests, and their use."""

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
    """Source of the requests."""
    n_in_dataset: FromOne
    """Number of requests in the dataset."""
    requests: Annotated[tuple[Request, ...], Field(min_length=1)]
    """The drawn requests, in the order of the dataset."""
    image_sizes: dict[str, PixelSize]
    """Size of each image by its id."""

    def images_of_first(self, n: int) -> dict[str, PixelSize]:
        """The images of the first requests by name, with their sizes."""
        return {one.image: self.image_sizes[one.image_id] for one in self.requests[:n]}


class Drawn(Record):
    """The requests of both workloads (`data/plan/requests.json`), which `prepare` reads."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made_from: str | None
    """SHA-256 of parameters, records of the datasets and code. It is null if a dataset is a folder,
    because it does not cover a folder's content."""
    by_workload: ByWorkload[DrawnRequests]
    """The requests of each workload."""


class WorkloadPlan(Record):
    """The number of requests of a workload, and their use."""

    source: str
    """Source of the requests."""
    n_in_dataset: FromOne
    """Number of requests in the dataset."""
    n_requests: FromOne
    """Number of requests to prepare."""
    n_images: FromOne
    """Number of images of these requests."""
    e1: FromOne
    """Number of requests measured at the reference setting."""
    e2: FromOne
    """Number of requests measured at each setting."""
    observer: FromOne
    """Number of requests measured with and without marks."""
    repeat: FromOne
    """Number of requests measured again in every trial."""
    answers: Count
    """Number of requests answered and scored at each setting; 0 if outputs would be no answers."""


class KnobLimits(Record):
    """The values that the knobs of the model can take."""

    image_size: PixelSize
    """The most common image size. Numbers of visual tokens are for this size."""
    native_vision_tokens: Count
    """Visual tokens that the unchanged model makes from an image of this size."""
    largest_vision_tokens: Count
    """The largest number that it reached when four times as many were asked for."""
    can_have_more: bool
    """Whether larger images have even more tokens, so the number above is no limit."""
    near_vision_tokens: tuple[Count, ...]
    """Examples of numbers that it can reach, largest first."""
    reached: dict[str, Count]
    """Each value of `knobs.vision_tokens`, and the number that the model reaches for it."""
    experts_per_token: FromOne | None
    """Largest number of experts per token; null in a dense model."""
    n_blocks: FromOne
    """Number of decoder blocks."""
    least_blocks: FromOne
    """Smallest number of active blocks."""


class Plan(Record):
    """The measurements of a run, and what the run cannot show (`data/plan/plan.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workloads: ByWorkload[WorkloadPlan]
    """The requests of each workload."""
    limits: KnobLimits
    """The values that the knobs can take."""
    n_settings: FromOne
    """Number of settings in the grid."""
    n_measurements: FromOne
    """Number of requests to measure at all settings together, without warm-up."""
    n_answers: Count
    """Number of answers to score at all settings together."""
    fewer_than_asked: tuple[str, ...]
    """Sentences about parameters that ask for more requests than there are."""
    cannot_pass: tuple[str, ...]
    """Validity checks that this run cannot pass on any machine."""
    cannot_tell: tuple[str, ...]
    """Results that this run cannot decide or report on any machine."""
    not_checked: tuple[str, ...]
    """Facts that are known only after loading the model, or after measuring."""
