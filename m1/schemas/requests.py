"""Requests: one image, one prompt, its references."""

from typing import Annotated, Literal, Self

from pydantic import Field

from m1.schemas.base import Record

Workload = Literal["qa", "captioning"]
WORKLOADS: tuple[Workload, ...] = ("qa", "captioning")
# Of a picture that is read or made: what Pillow takes for a decompression bomb, 268 MB as RGB.
MOST_PIXELS = 89_478_485


class Request(Record):
    """One thing to ask the model."""

    request_id: str
    """Stable id, unique within the workload."""
    image_id: str
    """Id of the image; several questions may share one."""
    image: str
    """Path of the image, relative to the folder of the request set."""
    prompt: str
    """What the model is asked, without chat template."""
    references: tuple[str, ...]
    """Ten people's answers, or several captions."""
    kind: str | None
    """Kind of question, where the dataset names one."""


class RequestSet(Record):
    """The requests of one workload, as `prepare` writes them (`requests.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workload: Workload
    """Whose requests these are."""
    source: str
    """Where they come from."""
    fingerprint: str
    """SHA-256 over requests and image bytes."""
    requests: Annotated[tuple[Request, ...], Field(min_length=1)]
    """The requests, in the order of the dataset."""
    corpus: dict[str, tuple[str, ...]]
    """Image id to references for the whole dataset: CIDEr's document frequencies (captioning)."""


class Sample(Record):
    """Which requests were drawn, small enough for git (`data/samples/<workload>.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    workload: Workload
    """Whose requests these are."""
    source: str
    """Where they come from."""
    fingerprint: str
    """SHA-256 over requests and image bytes: the same where the same was prepared."""
    request_ids: tuple[str, ...]
    """The ids of the requests, in the order of the dataset."""

    @classmethod
    def of(cls, prepared: RequestSet) -> Self:
        """The record of a request set."""
        return cls(
            workload=prepared.workload,
            source=prepared.source,
            fingerprint=prepared.fingerprint,
            request_ids=tuple(request.request_id for request in prepared.requests),
        )
