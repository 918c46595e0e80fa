"""Opening the images of requests."""

from pathlib import Path

from PIL import Image, ImageOps

from m1.errors import UserError


def open_image(path: Path) -> Image.Image:
    """Read an image as RGB, upright: cameras note in EXIF how they were held.

    Raises:
        UserError: if it is missing or no image.
    """
    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error})") from None
