"""What is read from, and written to, the folder of a dataset."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from m1.plain_text import public_address
from m1.schemas.base import Record
from m1.schemas.requests import MOST_PIXELS, MOST_TIMES_AS_LONG

Pixels = Annotated[int, Field(ge=1, le=16384)]


class JsonlRequest(Record):
    """One line of a JSON Lines file of requests."""

    image: Annotated[str, Field(min_length=1)] | None = None
    """Path of the image, relative to the file."""
    image_size: tuple[Pixels, Pixels] | None = None
    """Width and height in pixels: in the place of an image, one of random squares is made,
    for latency where the image itself cannot be had."""
    prompt: str
    """What the model is asked; it takes the place of `{question}` in `data.<workload>.prompt`."""
    references: tuple[str, ...]
    """Answers or captions that people gave."""
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
        if self.image_size and self.image_size[0] * self.image_size[1] > MOST_PIXELS:
            raise ValueError(f"image_size has more than {MOST_PIXELS} pixels")
        if self.image_size and max(self.image_size) > MOST_TIMES_AS_LONG * min(self.image_size):
            raise ValueError(
                f"image_size: one side is more than {MOST_TIMES_AS_LONG} times the other"
            )
        return self


class FetchedFile(Record):
    """A file that was fetched, as it was then."""

    url: Annotated[str, AfterValidator(public_address)]
    """Where it, or the archive it was in, came from, without what may be secret."""
    size_bytes: int
    """Its size."""
    sha256: str
    """Its SHA-256."""


class FetchManifest(Record):
    """What `m1 fetch` fetched of a dataset (`data/raw/<dataset>.json`).

    Small enough for git, where it says which images were sampled; DVC watches it.
    """

    schema_version: Literal[1] = 1
    """Version of this layout."""
    files: dict[str, FetchedFile]
    """Path from the dataset's folder to the file."""
