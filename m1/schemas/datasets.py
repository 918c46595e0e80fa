"""What is read from, and written to, the folder of a dataset."""

from typing import Literal

from m1.schemas.base import Record


class JsonlRequest(Record):
    """One line of a JSON Lines file of requests."""

    image: str
    """Path of the image, relative to the file."""
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


class FetchedFile(Record):
    """A file that was fetched, as it was then."""

    url: str
    """Where it, or the archive it was in, came from."""
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
