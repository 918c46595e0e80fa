"""Section `fetch`: downloads."""

from typing import Annotated

from pydantic import Field

from m1.params.numbers import Seconds
from m1.schemas.base import Record

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
