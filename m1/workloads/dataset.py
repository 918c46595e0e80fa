"""A dataset that was read: all its requests, before any image is looked up."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from m1.schemas.requests import Request

Corpus = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Dataset:
    """Requests in the order of the dataset, and how to find their images."""

    requests: list[Request]
    """All requests. Their `image` is the name in the dataset; the file may be missing."""
    corpus: Corpus
    """Image id to references, from which CIDEr takes document frequencies; empty for answers."""
    image_path: Callable[[Request], Path]
    """Finds the path of a request's image; raises `UserError` if it is missing."""
