"""Images as bytes that are known to decode."""

import io
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from m1.errors import UserError
from m1.schemas.base import describe

IMAGE_FORMATS = ("JPEG", "PNG")
# On each side of a picture that is made: about as many as a vision tower has patches.
SQUARES = 32


def image_bytes(path: Path, origin: str = "") -> bytes:
    """The bytes of an image that can be decoded and turned upright.

    Raises:
        UserError: naming where it came from, or else its path, and what is wrong with it.
    """
    place = origin or path
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            # Pillow warns before it decodes a picture of absurd size: refuse it there.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Other formats run larger decoders, Ghostscript even, on files we did not make.
            ImageOps.exif_transpose(Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)).load()
    except UnidentifiedImageError:
        raise UserError(f"{place}: neither JPEG nor PNG; fetch it again or convert it") from None
    except Exception as error:  # broken files make decoders raise almost anything
        reason = getattr(error, "strerror", None) or describe(error)
        raise UserError(f"{place}: not a readable image ({reason}); fetch it again") from None
    return content


def made_picture(image_id: str, size: tuple[int, int], folder: Path) -> Path:
    """Make a picture of random coloured squares, which follow from its id, of a size in pixels.

    Not of one colour: equal features would all be sent to the same experts.
    """
    path = folder / f"{image_id}.png"
    rng = np.random.default_rng(zlib.crc32(image_id.encode()))
    squares = rng.integers(0, 256, (SQUARES, SQUARES, 3), dtype=np.uint8)
    Image.fromarray(squares).resize(size, Image.Resampling.NEAREST).save(path)
    return path
