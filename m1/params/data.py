"""Section `data`: where requests come from, and how many are drawn."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from m1.params.numbers import PathText, PositiveInt, PromptText, Seed
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
    """Where the dataset is: the manifest of `m1 fetch` (the files are in the folder beside it that
    has its name), a folder in the official layout, or a JSON Lines file. Scenes ignore it."""
    annotations: FileNames | None = None
    """Which files of a folder in the official layout to read, where it has several: that with the
    captions, or those with the questions and the answers. Null: the one there is, or val2014."""
    n_requests: PositiveInt | None
    """Requests to prepare; null takes all that the dataset has."""
    prompt: PromptText | None
    """What the model is asked; `{question}` stands for the question. Null: the source's own."""
    resize_to: PictureSize | None = None
    """Width and height in pixels that every image is given, whatever its shape; null leaves images
    as they are."""


class CaptioningData(WorkloadData):
    """Where the requests of captioning come from."""

    split: Literal["karpathy-test"] | None
    """Part of the COCO captions to take; null takes all images of the file."""


class SceneData(Record):
    """How many scenes are generated."""

    n_images: Annotated[int, Field(ge=1, le=100_000)]
    """Scenes, shared by both workloads."""
    questions_per_image: Annotated[int, Field(ge=1, le=1000)]
    """Questions about each scene."""


class DataParams(Record):
    """Section `data`."""

    seed: Seed
    """Seed of generated scenes and of sampling."""
    scenes: SceneData
    """Generated scenes."""
    qa: WorkloadData
    """Question answering."""
    captioning: CaptioningData
    """Captioning."""

    def of(self, workload: Workload) -> WorkloadData:
        """The part of one workload."""
        return self.qa if workload == "qa" else self.captioning
