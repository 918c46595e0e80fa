"""Prepared requests: their inputs for a model, and their pictures with names that users know."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from m1.images import open_image
from m1.reading import shown
from m1.schemas.requests import Request, RequestSet
from m1.vlm.encoding import encode
from m1.vlm.loaded import LoadedVlm, Size


class Picture(NamedTuple):
    """A picture that will be measured."""

    name: str
    """The name that its user knows."""
    size: Size
    """Width and height in pixels."""


def picture_of(prepared: RequestSet, image: str, folder: Path) -> Picture:
    """A picture of requests that were prepared in a folder; `image` is its path from there.

    Raises:
        UserError: if it cannot be read.
    """
    name = prepared.image_names.get(image) or shown(folder / image)
    return Picture(name, open_image(folder, image).size)


def encode_request(
    vlm: LoadedVlm, folder: Path, request: Request, n_visual_tokens: int | None = None
) -> dict[str, Tensor]:
    """Turn a request and its image into the model's inputs, as `encode` does.

    Raises:
        UserError: if the image cannot be read or the processor does not accept it; the message
            names the image.
    """
    image = open_image(folder, request.image)
    name = shown(folder / request.image)
    return encode(vlm, image, request.prompt, n_visual_tokens, name)
