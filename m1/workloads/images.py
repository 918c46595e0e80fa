"""Pictures that are made: where images cannot be had, or of a size that they do not have."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from m1.images import FORMATS, rgb_image
from m1.schemas.requests import PictureSize

# On each side: about as many as a vision tower has patches.
SQUARES = 32
# Of JPEG and WebP: no artefact that the original does not have can be seen. Of PNG: written in a
# quarter of the time, a quarter larger, and opened as fast.
SAVED = {"quality": 95, "compress_level": 1}


def made_picture(image_id: str, size: PictureSize, folder: Path) -> Path:
    """Make a picture of random coloured squares, which follow from its id, of a size in pixels.

    Not of one colour: equal features would all be sent to the same experts.
    """
    path = folder / f"{image_id}.png"
    rng = np.random.default_rng(zlib.crc32(image_id.encode()))
    squares = rng.integers(0, 256, (SQUARES, SQUARES, 3), dtype=np.uint8)
    Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def resized(content: bytes, size: PictureSize) -> tuple[bytes, str]:
    """Make an image a size, whatever its shape; upright and RGB, as models get it.

    It stays JPEG, PNG or WebP, so that it takes as long to open as an original of that size would;
    a GIF becomes a PNG, since its 256 colours are too few.

    Args:
        content: the bytes of an image that can be decoded.
        size: width and height in pixels.

    Returns:
        The bytes, and the ending of a file with them.
    """
    found = Image.open(io.BytesIO(content), formats=FORMATS).format
    kind = found if found in ("JPEG", "WEBP") else "PNG"
    made = io.BytesIO()
    rgb_image(content).resize(size, Image.Resampling.BICUBIC).save(made, kind, **SAVED)
    return made.getvalue(), {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}[kind]
