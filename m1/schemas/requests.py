"""Requests: one image, one prompt, its references."""

from typing import Literal

from m1.schemas.base import Record

Workload = Literal["qa", "captioning"]
WORKLOADS: tuple[Workload, ...] = ("qa", "captioning")


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
    requests: tuple[Request, ...]
    """The requests, in the order of the dataset."""
    corpus: dict[str, tuple[str, ...]]
    """Image id to references for the whole dataset: CIDEr's document frequencies (captioning)."""
