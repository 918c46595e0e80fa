"""Make pictures, if images are not available or if they need another size."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from m1.images import FORMATS, rgb_image
from m1.schemas.requests import PictureSize

# Squares on each side: about as many as a vision tower has patches.
SQUARES = 32
# For JPEG and WebP, this quality adds no visible artefacts. For PNG, this level writes in a quarter
# of the time; files are a quarter larger and open as fast.
SAVED = {"quality": 95, "compress_level": 1}


def made_picture(image_id: str, size: PictureSize, folder: Path) -> Path:
    """Make a picture of random coloured squares, of a size in pixels. The id decides the colours.

    There are several colours, since equal features would all be sent to the same experts.
    """
    path = folder / f"{image_id}.png"
    rng = np.random.default_rng(zlib.crc32(image_id.encode()))
    squares = rng.integers(0, 256, (SQUARES, SQUARES, 3), dtype=np.uint8)
    Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def resized(content: bytes, size: PictureSize) -> tuple[bytes, str]:
    """Scale an image to a size, whatever its shape. It becomes upright and RGB, as models get it.

    It stays JPEG, PNG or WebP, so it takes as long to open as an original of that size. A GIF
    becomes a PNG, since its 256 colours are too few.

    Args:
        content: the bytes of an image that can be decoded.
        size: width and height in pixels.

    Returns:
        The bytes, and the suffix of a file for them.
    """
    format_ = Image.open(io.BytesIO(content), formats=FORMATS).format
    kind = format_ if format_ in ("JPEG", "WEBP") else "PNG"
    made = io.BytesIO()
    rgb_image(content).resize(size, Image.Resampling.BICUBIC).save(made, kind, **SAVED)
    return made.getvalue(), {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}[kind]
