"""Requests: one image, one prompt, and its references."""

import hashlib
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from m1.schemas.base import Record, repeated, with_each

Workload = Literal["qa", "captioning"]
WORKLOADS: tuple[Workload, ...] = ("qa", "captioning")
T = TypeVar("T")
ByWorkload = Annotated[dict[Workload, T], with_each(WORKLOADS)]
"""A value for each workload. Both workloads must have one."""
# Limit of pictures that are read or made. Pillow warns of a decompression bomb above it (268 MB as
# RGB).
MOST_PIXELS = 89_478_485
# Many processors scale the shorter side to a few hundred pixels, and the longer side by the same
# factor. A picture of 1 x 60,000 pixels would then take 12 GB.
MOST_TIMES_AS_LONG = 200


def _workable(size: tuple[int, int]) -> tuple[int, int]:
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"has more than {MOST_PIXELS} pixels")
    if max(size) > MOST_TIMES_AS_LONG * min(size):
        raise ValueError(f"one side is more than {MOST_TIMES_AS_LONG} times the other")
    return size


Pixels = Annotated[int, Field(ge=1, le=16384)]
PictureSize = Annotated[tuple[Pixels, Pixels], AfterValidator(_workable)]
"""Width and height in pixels of a picture to make."""


class Request(Record):
    """One image and prompt for the model."""

    request_id: str
    """Id of the request; unique within the workload, and the same in every run."""
    image_id: str
    """Id of the image; several questions may share one."""
    image: str
    """Path of the image, relative to the folder of the request set."""
    prompt: str
    """The prompt for the model, without chat template."""
    references: tuple[str, ...]
    """Answers of ten people, or several captions."""
    kind: str | None
    """Kind of question; null if the dataset does not name it."""


class RequestSet(Record):
    """The requests of one workload, as `prepare` writes them (`requests.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workload: Workload
    """Workload of the requests."""
    source: str
    """Source of the requests."""
    resize_to: PictureSize | None = None
    """Size of every image after resizing; null if images were not resized."""
    fingerprint: str
    """SHA-256 of workload, requests, digests of images and corpus."""
    requests: Annotated[tuple[Request, ...], Field(min_length=1)]
    """The requests, in the order of the dataset."""
    image_digests: dict[str, str]
    """SHA-256 of each image's bytes, by its path in `requests`."""
    corpus: dict[str, tuple[str, ...]]
    """For captioning: the references of the whole dataset by image id, for the document frequencies
    of CIDEr."""
    image_names: dict[str, str] = Field(default_factory=dict)
    """Place of each image in its dataset, by its path in `requests`. Errors use it as the image's
    name."""

    @classmethod
    def of(
        cls,
        workload: Workload,
        source: str,
        requests: tuple[Request, ...],
        image_digests: dict[str, str],
        corpus: dict[str, tuple[str, ...]],
        resize_to: PictureSize | None = None,
        image_names: dict[str, str] | None = None,
    ) -> Self:
        """A request set with the fingerprint of its content."""
        unnamed = cls(
            workload=workload,
            source=source,
            resize_to=resize_to,
            fingerprint="",
            requests=requests,
            image_digests=image_digests,
            corpus=corpus,
            image_names=image_names or {},
        )
        return unnamed.model_copy(update={"fingerprint": unnamed.content_fingerprint})

    @property
    def content_fingerprint(self) -> str:
        """The correct `fingerprint` of the present content. No image is read."""
        content = {"workload", "requests", "image_digests", "corpus"}
        return hashlib.sha256(self.model_dump_json(include=content).encode()).hexdigest()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if twice := repeated(request.request_id for request in self.requests):
            raise ValueError(f"request_id {twice} is there more than once; give each its own")
        images = dict.fromkeys((request.image_id, request.image) for request in self.requests)
        if twice := repeated(image_id for image_id, _ in images):
            raise ValueError(f"image_id {twice} is that of several images; give each its own")
        return self


class Sample(Record):
    """The ids of the drawn requests, small enough for git (`data/samples/<workload>.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workload: Workload
    """Workload of the requests."""
    source: str
    """Source of the requests."""
    resize_to: PictureSize | None = None
    """Size of every image after resizing; null if images were not resized."""
    fingerprint: str
    """Fingerprint of the request set. It is the same if the same requests were prepared."""
    request_ids: tuple[str, ...]
    """The ids of the requests, in the order of the dataset."""

    @classmethod
    def of(cls, prepared: RequestSet) -> Self:
        """The record of a request set."""
        return cls(
            workload=prepared.workload,
            source=prepared.source,
            resize_to=prepared.resize_to,
            fingerprint=prepared.fingerprint,
            request_ids=tuple(request.request_id for request in prepared.requests),
        )
