"""Pictures that are made where images cannot be had."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

# On each side: about as many as a vision tower has patches.
SQUARES = 32


def made_picture(image_id: str, size: tuple[int, int], folder: Path) -> Path:
    """Make a picture of random coloured squares, which follow from its id, of a size in pixels.

    Not of one colour: equal features would all be sent to the same experts.
    """
    path = folder / f"{image_id}.png"
    rng = np.random.default_rng(zlib.crc32(image_id.encode()))
    squares = rng.integers(0, 256, (SQUARES, SQUARES, 3), dtype=np.uint8)
    Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).save(path)
    return path
