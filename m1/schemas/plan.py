"""The plan that is made before a run: the drawn requests, and the measurements on them."""

from typing import Annotated, Literal

from pydantic import Field

from m1.schemas.base import Count, FromOne, Record
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
    """Size of each image, by the image's id."""

    def images_of_first(self, n: int) -> dict[str, PixelSize]:
        """The sizes of the images of the first `n` requests, by the image's path."""
        return {request.image: self.image_sizes[request.image_id] for request in self.requests[:n]}


class Drawn(Record):
    """The drawn requests of both workloads (`data/plan/requests.json`).

    `prepare` depends on this file, so it runs after the check.
    """

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made_from: str | None
    """SHA-256 over parameters, records of the datasets and code. Null if a dataset is a folder,
    since it would not cover the folder's content."""
    by_workload: ByWorkload[DrawnRequests]
    """The requests of each workload."""


class WorkloadPlan(Record):
    """The number of requests of a workload, and their use."""

    source: str
    """Source of the requests."""
    n_in_dataset: FromOne
    """Number of requests in the dataset."""
    n_requests: FromOne
    """Number of prepared requests."""
    n_images: FromOne
    """Number of images of these requests."""
    e1: FromOne
    """Number of requests measured at the reference setting."""
    e2: FromOne
    """Number of requests measured at each setting."""
    observer: FromOne
    """Number of requests measured with and without marks."""
    anchor: FromOne
    """Number of requests measured in every trial, at the model's native setting."""
    answers: Count
    """Requests answered and scored at each setting; 0 if outputs would not be answers."""


class KnobLimits(Record):
    """The possible values of the model's knobs."""

    image_size: PixelSize
    """The most frequent size of image that the model accepts. All numbers of visual tokens are for
    this size."""
    native_vision_tokens: Count
    """Number of visual tokens that the unchanged model makes of such an image."""
    largest_vision_tokens: Count
    """The largest number that it reached when four times the native number was asked for."""
    can_have_more: bool
    """Whether four times the native number was reached. Then larger images can have even more
    tokens."""
    near_vision_tokens: tuple[Count, ...]
    """Some possible numbers, the largest first."""
    reached: dict[str, Count]
    """For each value of `knobs.vision_tokens`, the number that the model reaches."""
    experts_per_token: FromOne | None
    """Largest number of experts per token; null in a dense model."""
    n_blocks: FromOne
    """Number of decoder blocks."""
    least_blocks: FromOne
    """Smallest number of decoder blocks that can be active."""


class Plan(Record):
    """The measurements of a run on a model, and what it cannot show (`data/plan/plan.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workloads: ByWorkload[WorkloadPlan]
    """The requests of each workload."""
    limits: KnobLimits
    """The possible values of the knobs."""
    n_settings: FromOne
    """Number of settings of the grid."""
    n_measurements: FromOne
    """Number of requests that will be measured, over all settings, without warm-up."""
    n_processes: FromOne = 1
    """Number of processes that measure them, one after the other."""
    n_answers: Count
    """Number of answers that will be scored, over all settings."""
    fewer_than_asked: tuple[str, ...]
    """Sentences about parameters that ask for more requests than there are."""
    cannot_pass: tuple[str, ...]
    """Checks of validity that this run cannot pass on any machine."""
    cannot_tell: tuple[str, ...]
    """Findings and numbers that this run cannot decide or report, whatever it measures."""
    not_checked: tuple[str, ...]
    """Facts that are known only after the model is loaded or measured."""
