"""Photographs as cameras and editors leave them."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_workloads_prepare import png_claiming

from m1.errors import UserError
from m1.vlm.images import open_image
from m1.workloads.images import image_bytes

ORIENTATION = 0x0112
RED, BLUE = (250, 10, 10), (10, 10, 250)


def picture(mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right; twice as wide as high."""
    whole = Image.new("RGB", (64, 32), RED)
    whole.paste(BLUE, (32, 0, 64, 32))
    return whole.convert(mode)


def saved(image: Image.Image, path: Path, orientation: int | None = None) -> Path:
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    image.save(path, exif=exif)
    return path


def jpeg_claiming(side_px: int) -> bytes:
    """A small JPEG whose header says that it is a large one."""
    whole = io.BytesIO()
    picture().save(whole, "JPEG")
    content = whole.getvalue()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", side_px, side_px) + content[at + 4 :]


def near(image: Image.Image, xy: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    return bool(np.allclose(image.getpixel(xy), colour, atol=30))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(
    ("orientation", "size", "red", "blue"),
    [
        (None, (64, 32), (5, 16), (59, 16)),
        (1, (64, 32), (5, 16), (59, 16)),
        (3, (64, 32), (59, 16), (5, 16)),  # upside down
        (6, (32, 64), (16, 5), (16, 59)),  # held on its side
        (8, (32, 64), (16, 59), (16, 5)),
    ],
)
def test_the_model_sees_photographs_upright(
    orientation: int | None,
    size: tuple[int, int],
    red: tuple[int, int],
    blue: tuple[int, int],
    suffix: str,
    tmp_path: Path,
) -> None:
    path = saved(picture(), tmp_path / f"a{suffix}", orientation)
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", size)
    assert near(image, red, RED)
    assert near(image, blue, BLUE)
    assert image_bytes(path) == path.read_bytes()


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", ".jpg"), ("P", ".png"), ("RGBA", ".png")])
def test_other_colour_models_become_rgb(mode: str, suffix: str, tmp_path: Path) -> None:
    image = picture().quantize(4) if mode == "P" else picture(mode)
    path = saved(image, tmp_path / f"a{suffix}")
    image = open_image(path)
    assert image.mode == "RGB"
    assert near(image, (5, 16), RED)
    assert near(image, (59, 16), BLUE)
    assert image_bytes(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_greyscale_becomes_rgb(suffix: str, tmp_path: Path) -> None:
    path = saved(Image.new("L", (64, 32), 77), tmp_path / f"a{suffix}")
    assert open_image(path).getpixel((9, 9)) == (77, 77, 77)
    assert image_bytes(path)


@pytest.mark.parametrize("content", [png_claiming(20_000), jpeg_claiming(20_000)])
def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(content)
    for read in (image_bytes, open_image):
        with pytest.raises(UserError, match=r"large.jpg: not a readable image .*400000000 pixels"):
            read(path)
