"""Records that are read from, or written to, the folder of a dataset."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from m1.plain_text import public_address
from m1.schemas.base import Record
from m1.schemas.requests import PictureSize


class JsonlRequest(Record):
    """One line of a JSON Lines file of requests."""

    image: Annotated[str, Field(min_length=1)] | None = None
    """Path of the image, relative to the file."""
    image_size: PictureSize | None = None
    """Width and height in pixels. An image of random squares is made in this size. Latency can then
    be measured without the original image."""
    prompt: str
    """The question or instruction. It replaces `{question}` in `data.<workload>.prompt`."""
    references: tuple[str, ...]
    """Answers or captions by people."""
    request_id: str | None = None
    """Unique id; by default the workload and the number of the line."""
    image_id: str | None = None
    """Id of the image; by default its number in the file."""
    kind: str | None = None
    """Kind of question."""

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if (self.image is None) == (self.image_size is None):
            raise ValueError("give either image or image_size")
        return self


class FetchedFile(Record):
    """A file as it was when it was fetched."""

    url: Annotated[str, AfterValidator(public_address)]
    """Address of the file, or of the archive that contained it, without parts that may be
    secret."""
    size_bytes: int
    """Size of the file."""
    sha256: str
    """SHA-256 of the file."""


class FetchManifest(Record):
    """The files of a dataset that `m1 fetch` fetched (`data/raw/<dataset>.json`).

    It is small enough for git, and records the images of the sample. DVC watches it for changes.
    """

    schema_version: Literal[1] = 1
    """Version of this layout."""
    files: dict[str, FetchedFile]
    """The fetched files, by their path from the dataset's folder."""
