"""Sections `data` and `fetch`: the datasets, and their downloads."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from m1.params.numbers import PathText, PositiveInt, PromptText, Seconds, Seed
from m1.schemas.base import Record
from m1.schemas.requests import PictureSize, Workload


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 (whatever YAML holds)
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


FileNames = Annotated[
    tuple[PathText, ...], Field(min_length=1, max_length=2), BeforeValidator(_as_tuple)
]


class WorkloadData(Record):
    """Where the requests of one workload come from."""

    source: Literal["scenes", "vqa-v2", "coco-captions", "jsonl"]
    """`scenes` are generated; the others are read from `root`."""
    root: PathText
    """Place of the dataset: the manifest of `m1 fetch`, a folder in the official layout, or a JSON
    Lines file. The files of a manifest are in the folder beside it with the same name. Scenes
    ignore this parameter."""
    annotations: FileNames | None = None
    """Files to read if a folder in the official layout has several: the file with the captions, or
    the files with the questions and with the answers. Null takes the only file, or val2014."""
    n_requests: PositiveInt | None
    """Number of requests to prepare; null takes all requests of the dataset."""
    prompt: PromptText | None
    """Prompt of a request; `{question}` stands for the question. Null takes the source's prompt."""
    resize_to: PictureSize | None = None
    """Width and height in pixels. Every image is made this size, whatever its shape; null leaves
    images as they are."""


class CaptioningData(WorkloadData):
    """Where the requests of captioning come from."""

    split: Literal["karpathy-test"] | None
    """Part of the COCO captions to use; null uses all images of the file."""


class SceneData(Record):
    """The number of generated scenes."""

    n_images: Annotated[int, Field(ge=1, le=100_000)]
    """Number of scenes, shared by both workloads."""
    questions_per_image: Annotated[int, Field(ge=1, le=1000)]
    """Number of questions about each scene."""


class DataParams(Record):
    """Section `data`."""

    seed: Seed
    """Seed of the generated scenes and of the sample."""
    scenes: SceneData
    """Generated scenes."""
    qa: WorkloadData
    """Question answering."""
    captioning: CaptioningData
    """Captioning."""

    def of(self, workload: Workload) -> WorkloadData:
        """The part of one workload."""
        return self.qa if workload == "qa" else self.captioning


Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$", max_length=2048)]


class FetchParams(Record):
    """Section `fetch`: how `m1 fetch` downloads, and from which addresses."""

    vqa_v2_url: Url
    """Folder of the archives of VQA v2."""
    coco_url: Url
    """Folder of COCO's `annotations/` and `val2014/`."""
    karpathy_url: Url
    """Folder of the archive with the Karpathy split."""
    n_parallel: Annotated[int, Field(ge=1, le=32)]
    """Number of images that are fetched at the same time."""
    n_attempts: Annotated[int, Field(ge=1, le=100)]
    """Largest number of attempts for each file."""
    backoff_s: Seconds
    """Seconds before the second attempt. They double before each further attempt."""
    timeout_s: Seconds
    """Seconds without an answer after which an attempt ends."""
