"""The only way to open images of users, with all checks: as bytes, or upright in RGB."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from m1.errors import UserError
from m1.reading import check_inside, read_bytes, shown
from m1.schemas.base import describe
from m1.schemas.requests import MOST_PIXELS, MOST_TIMES_AS_LONG

# The content decides, not the name. Other formats need larger decoders, even Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MOST_BYTES = 1 << 28
ORIENTATION_TAG = 0x0112
# The operation that turns a picture upright, for each orientation that a camera can record.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PNG_BIT_DEPTH_AT = 24
# The place of the flags in an extended WebP: after the headers of file and chunk.
WEBP_HEADER, WEBP_FLAGS_AT = b"VP8X", 20
WEBP_ANIMATED, WEBP_ALPHA = 0x02, 0x10
LEVELS_16_BIT = (1 << 16) - 1
LEVELS_8_BIT = (1 << 8) - 1

HINT = "convert it, replace it or leave it out"


def image_bytes(path: Path, origin: str = "") -> bytes:
    """The bytes of an image that can be decoded.

    Args:
        path: the file.
        origin: the address that it was fetched from, if it was.

    Raises:
        UserError: if it cannot be used; the message has its address or path, and the reason.
    """
    content = read_bytes(path, MOST_BYTES)
    _decoded(content, origin or shown(path), "fetch it again" if origin else HINT)
    return content


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of an image that can be decoded, upright.

    Raises:
        UserError: naming its path, and what is wrong with it.
    """
    return _decoded(read_bytes(path, MOST_BYTES), shown(path), HINT).size


def open_image(folder: Path, name: str) -> Image.Image:
    """Read an image of a request set as RGB, upright.

    Args:
        folder: the folder of the request set.
        name: path of the image from there.

    Raises:
        UserError: if it is missing or no image, or lies outside the folder.
    """
    path = folder / name
    check_inside(path, folder)
    content = read_bytes(path, MOST_BYTES)
    return _decoded(content, shown(path), "prepare the requests again")


def rgb_image(content: bytes) -> Image.Image:
    """The image that a model gets, from the bytes of `image_bytes`: upright, in RGB."""
    return _decoded(content, "the image", HINT)


def _decoded(content: bytes, place: str, hint: str) -> Image.Image:
    """The first frame, upright, in RGB.

    Raises:
        UserError: if the content is no image in one of the formats, damaged, or of absurd size.
    """
    try:
        with warnings.catch_warnings():
            # Warnings are about sizes, which are checked here, or about unused tags of EXIF.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(_with_alpha(content)), formats=FORMATS)
            _check_size(image)
            image.load()
            if image.format == "PNG":
                _scale_transparency(image, bit_depth=content[PNG_BIT_DEPTH_AT])
            return _in_rgb(_upright(image))
    except UnidentifiedImageError:
        raise UserError(f"{place}: no JPEG, PNG, WebP or GIF; {hint}") from None
    except Exception as error:  # broken files make decoders raise almost anything
        reason = describe(error)
        raise UserError(f"{place}: not a readable image ({reason}); {hint}") from None


def _check_size(image: Image.Image) -> None:
    """Check that the size of a picture allows decoding and further work, before it is decoded.

    Raises:
        ValueError: if it does not.
    """
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"a decompression bomb? {width * height} pixels of at most {MOST_PIXELS}")
    if max(width, height) > MOST_TIMES_AS_LONG * min(width, height):
        raise ValueError(
            f"{width} x {height} pixels: one side is more than {MOST_TIMES_AS_LONG} times the other"
        )


def _with_alpha(content: bytes) -> bytes:
    """Mark an animated WebP as having alpha, so the area outside its first frame is transparent.

    Writers only record whether frames have alpha. Without it, Pillow makes this area black.
    """
    is_webp = content[:4] == b"RIFF" and content[8:16] == b"WEBP" + WEBP_HEADER
    flags = content[WEBP_FLAGS_AT] if is_webp and len(content) > WEBP_FLAGS_AT else 0
    if not flags & WEBP_ANIMATED:
        return content
    said = bytes([flags | WEBP_ALPHA])
    return content[:WEBP_FLAGS_AT] + said + content[WEBP_FLAGS_AT + 1 :]


def _scale_transparency(image: Image.Image, bit_depth: int) -> None:
    """Scale the transparent colour to the same levels that Pillow uses for other colours."""
    match image.info.get("transparency"):
        case int(grey) if image.mode == "L" and bit_depth < 8:
            image.info["transparency"] = grey * LEVELS_8_BIT // ((1 << bit_depth) - 1)
        case tuple(colour) if bit_depth == 16:
            image.info["transparency"] = tuple(level >> 8 for level in colour)


def _upright(image: Image.Image) -> Image.Image:
    """The picture in the orientation of its camera; unchanged if EXIF is missing or unreadable."""
    try:
        orientation: Any = image.getexif().get(ORIENTATION_TAG)
        turn = UPRIGHT.get(orientation)
    except Exception:  # many programs write EXIF, so reading it can raise any error
        turn = None
    return image if turn is None else image.transpose(turn)


def _in_rgb(image: Image.Image) -> Image.Image:
    """Eight bits per channel; transparent parts become white."""
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, which Pillow would cut off at 255 instead of scaling it."""
    levels = np.asarray(image).astype(np.float64)
    transparent = image.info.get("transparency")
    if transparent is not None:
        levels[levels == transparent] = LEVELS_16_BIT
    scaled = np.rint(levels * (LEVELS_8_BIT / LEVELS_16_BIT)).clip(0, LEVELS_8_BIT)
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
