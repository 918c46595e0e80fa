"""Images from cameras, editors and attackers are read correctly, or refused in one line."""

import io
import os
import re
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference_cases import Cases
from test_workloads_prepare import chunk, png_claiming

from m1.errors import UserError
from m1.images import FORMATS, image_bytes, open_image

ORIENTATION = 0x0112
RED, BLUE = (250, 10, 10), (10, 10, 250)


def opened(path: Path) -> Image.Image:
    """Open a file as a request's image. If this works, preparing accepts the file, too."""
    image = open_image(path.parent, path.name)
    assert image_bytes(path) == path.read_bytes()
    assert image.mode == "RGB"
    return image


def refusals(path: Path) -> list[str]:
    """The errors of preparing and profiling for a refused file."""
    told = []
    for read in (lambda: image_bytes(path), lambda: open_image(path.parent, path.name)):
        with pytest.raises(UserError) as caught:
            read()
        assert "\n" not in str(caught.value)
        told.append(str(caught.value))
    return told


def png(size: tuple[int, int], depth: int, colour_type: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG of these rows, which Pillow cannot write itself."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    end = chunk(b"IEND", b"")
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *more, pixels, end])


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
    image = open_image(path.parent, path.name)
    assert (image.mode, image.size) == ("RGB", size)
    assert near(image, red, RED)
    assert near(image, blue, BLUE)
    assert image_bytes(path) == path.read_bytes()


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", ".jpg"), ("P", ".png"), ("RGBA", ".png")])
def test_other_colour_models_become_rgb(mode: str, suffix: str, tmp_path: Path) -> None:
    image = picture().quantize(4) if mode == "P" else picture(mode)
    path = saved(image, tmp_path / f"a{suffix}")
    image = open_image(path.parent, path.name)
    assert image.mode == "RGB"
    assert near(image, (5, 16), RED)
    assert near(image, (59, 16), BLUE)
    assert image_bytes(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_greyscale_becomes_rgb(suffix: str, tmp_path: Path) -> None:
    path = saved(Image.new("L", (64, 32), 77), tmp_path / f"a{suffix}")
    assert open_image(path.parent, path.name).getpixel((9, 9)) == (77, 77, 77)
    assert image_bytes(path)


@pytest.mark.parametrize("content", [png_claiming(20_000), jpeg_claiming(20_000)])
def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(content)
    told = refusals(path)
    assert all(re.search("large.jpg: not a readable image .*400000000 pixels", one) for one in told)


@pytest.mark.parametrize("size", [(201, 1), (1, 201), (4_100, 20)])
def test_an_extremely_narrow_picture_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    path = saved(Image.new("RGB", size), tmp_path / "line.png")
    told = refusals(path)
    assert all("one side is more than 200 times the other" in one for one in told)
    assert opened(saved(Image.new("RGB", (200, 1)), path)).size == (200, 1)


# More than 8 bits a channel


def test_16_bits_a_channel_are_scaled_and_not_cut_off(cases: Cases) -> None:
    grey = np.asarray(opened(cases.hostile("ramp_16bit.png")))[..., 0]
    assert len(np.unique(grey)) == 256
    assert grey.mean() == pytest.approx(127, abs=1)


def test_16_bit_grey_keeps_its_levels(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert np.asarray(opened(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "transparent", "seen"),
    [
        # The first pixel is transparent, the second dark and opaque.
        (16, 0, struct.pack(">HH", 0, 514), struct.pack(">H", 0), (2, 2, 2)),
        (
            16,
            2,
            struct.pack(">6H", 65535, 0, 0, 514, 0, 0),
            struct.pack(">3H", 65535, 0, 0),
            (2, 0, 0),
        ),
        (16, 4, struct.pack(">4H", 0, 0, 514, 65535), None, (2, 2, 2)),
        (2, 0, b"\x40", struct.pack(">H", 1), (0, 0, 0)),
        (1, 0, b"\x80", struct.pack(">H", 1), (0, 0, 0)),
    ],
    ids=["grey 16", "rgb 16", "grey with alpha 16", "grey 2", "grey 1"],
)
def test_transparent_is_white_at_any_bit_depth(
    depth: int,
    colour_type: int,
    row: bytes,
    transparent: bytes | None,
    seen: tuple[int, int, int],
    tmp_path: Path,
) -> None:
    more = [] if transparent is None else [chunk(b"tRNS", transparent)]
    (tmp_path / "a.png").write_bytes(png((2, 1), depth, colour_type, b"\0" + row, *more))
    image = opened(tmp_path / "a.png")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), seen]


# Transparency


@pytest.mark.parametrize("name", ["drawing_on_transparent.png", "drawing_on_transparent_grey.png"])
def test_a_drawing_on_transparent_ground_is_one_on_white(name: str, cases: Cases) -> None:
    pixels = np.asarray(opened(cases.hostile(name)))
    assert (pixels[0, 0] == 255).all()
    # Black lines on much white.
    assert pixels.min() == 0
    assert pixels.mean() > 127


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", ".png"), ("LA", ".png"), ("P", ".png"), ("RGBA", ".webp"), ("RGBA", ".gif")],
)
def test_transparent_pixels_become_white(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (32, 0, 64, 32))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    image.save(tmp_path / f"a{suffix}")
    seen = opened(tmp_path / f"a{suffix}")
    assert near(seen, (5, 16), (255, 255, 255))
    assert near(seen, (59, 16), (10, 10, 10))


def test_more_alphas_than_colours_are_reported(tmp_path: Path) -> None:
    more = [chunk(b"PLTE", bytes(RED + BLUE)), chunk(b"tRNS", b"\xff" * 300)]
    (tmp_path / "a.png").write_bytes(png((2, 1), 8, 3, b"\0\0\1", *more))
    told = refusals(tmp_path / "a.png")
    assert all("not a readable image (palette index out of range)" in one for one in told)


def test_the_uncovered_part_of_the_first_frame_of_a_webp_is_white(tmp_path: Path) -> None:
    """The writer records no alpha here, because no frame has any. The first frame covers a half."""
    first = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    first.paste((*RED, 255), (0, 0, 32, 32))
    after = Image.new("RGBA", (64, 32), (*BLUE, 255))
    first.save(tmp_path / "a.webp", save_all=True, append_images=[after], lossless=False)
    assert not (tmp_path / "a.webp").read_bytes()[20] & 0x10
    image = opened(tmp_path / "a.webp")
    assert near(image, (5, 16), RED)
    assert near(image, (59, 16), (255, 255, 255))


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert near(opened(tmp_path / "a.png"), (1, 1), (127, 127, 127))


# Formats


@pytest.mark.parametrize(("mode", "suffix"), [("1", ".png"), ("L", ".gif"), ("YCbCr", ".jpg")])
def test_black_and_white_stay_so_in_any_colour_model(
    mode: str, suffix: str, tmp_path: Path
) -> None:
    image = Image.new("RGB", (64, 32), "black")
    image.paste((255, 255, 255), (32, 0, 64, 32))
    path = saved(image.convert(mode), tmp_path / f"a{suffix}") if suffix != ".gif" else None
    if path is None:
        path = tmp_path / "a.gif"
        image.convert(mode).save(path)
    seen = opened(path)
    assert near(seen, (5, 16), (0, 0, 0))
    assert near(seen, (59, 16), (255, 255, 255))


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_used(format_name: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE, BLUE)]
    path = tmp_path / "moving.jpg"  # the content counts, not the name
    frames[0].save(path, format_name, save_all=True, append_images=frames[1:], duration=100)
    assert near(opened(path), (9, 9), RED)


@pytest.mark.parametrize("format_name", ["EPS", "TIFF", "BMP", "PDF", "ICO", "TGA"])
def test_other_formats_are_refused_whatever_they_are_named(
    format_name: str, tmp_path: Path
) -> None:
    assert format_name not in FORMATS
    path = tmp_path / "a.png"
    picture().save(path, format_name)
    assert all("no JPEG, PNG, WebP or GIF" in one for one in refusals(path))


def test_postscript_named_png_starts_no_program(
    monkeypatch: pytest.MonkeyPatch, cases: Cases
) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", started)
    told = refusals(cases.hostile("postscript_named.png"))
    assert all("postscript_named.png: no JPEG, PNG, WebP or GIF" in one for one in told)


# EXIF


def jpeg_with_exif(exif: bytes) -> bytes:
    whole = io.BytesIO()
    picture().save(whole, "JPEG", exif=exif)
    return whole.getvalue()


def tag(number: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(">HHI", number, kind, count) + value


def exif_of(*tags: bytes) -> bytes:
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(tags)) + b"".join(tags)


SIDEWAYS = tag(ORIENTATION, 3, 1, struct.pack(">HH", 6, 0))
ODD_EXIF = {
    "orientation 99": exif_of(tag(ORIENTATION, 3, 1, struct.pack(">HH", 99, 0))),
    "orientation of text": exif_of(tag(ORIENTATION, 2, 4, b"six\0")),
    "orientation beyond the end": exif_of(tag(ORIENTATION, 3, 9999, struct.pack(">I", 1 << 30))),
    "no header": b"Exif\0\0" + b"?" * 40,
    "cut off": exif_of(SIDEWAYS)[:17],
    "huge": exif_of(tag(0x927C, 7, 60_000, struct.pack(">I", 8))) + b"x" * 60_000,
}


@pytest.mark.parametrize("name", ODD_EXIF)
def test_a_picture_with_odd_exif_is_used_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with_exif(ODD_EXIF[name]))
    image = opened(tmp_path / "a.jpg")
    assert image.size == (64, 32)
    assert near(image, (5, 16), RED)


@pytest.mark.parametrize(
    "odd",
    [
        tag(0x8769, 4, 1, struct.pack(">I", 1 << 31)),
        tag(0x9286, 7, 9999, b"\xff" * 4),
        # Pillow reads these two, and raises when it is to write them.
        tag(0xA005, 2, 4, b"abc\0"),
        tag(0x0100, 9, 1, struct.pack(">i", -5)),
    ],
    ids=["beyond the end", "too long", "text for a number", "below zero"],
)
def test_odd_tags_beside_it_leave_the_orientation_readable(odd: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with_exif(exif_of(SIDEWAYS, odd)))
    assert opened(tmp_path / "a.jpg").size == (32, 64)


def test_exif_that_cannot_be_parsed_is_left_alone(tmp_path: Path) -> None:
    text = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno hexadecimals")
    (tmp_path / "a.png").write_bytes(png((2, 1), 8, 0, b"\0\x07\x09", text))
    assert np.asarray(opened(tmp_path / "a.png"))[0, :, 0].tolist() == [7, 9]


# What is no image at all


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif"])
def test_a_cut_off_file_of_the_users_own_is_not_to_be_fetched_again(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    prepared, profiled = refusals(path)
    assert re.search(
        r"a\.\w+: (not a readable image|no JPEG).*replace it or leave it out$", prepared
    )
    assert profiled.endswith("prepare the requests again")
    with pytest.raises(UserError, match=r"^https://x/a: .*; fetch it again$"):
        image_bytes(path, "https://x/a")


def test_a_file_that_is_not_regular_is_reported_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket.png"))
    for name in ("pipe", "socket"):
        assert all("a pipe, socket or device" in one for one in refusals(tmp_path / f"{name}.png"))
    assert all("Is a directory" in one for one in refusals(tmp_path / "folder.png"))
    with pytest.raises(UserError, match="a pipe, socket or device"):
        image_bytes(tmp_path / "device.png")
    assert all("No such file" in one for one in refusals(tmp_path / "none.png"))
    assert all("File name too long" in one for one in refusals(tmp_path / ("x" * 5000)))
    assert all("null byte" in one for one in refusals(tmp_path / "a\0b"))


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    assert all("1,099,511,627,776 bytes" in one for one in refusals(tmp_path / "a.png"))


def test_a_request_set_reads_no_image_outside_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "set" / "images"
    inside.mkdir(parents=True)
    secret = saved(picture(), tmp_path / "secret.png")
    (inside / "link.png").symlink_to(secret)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "set")
    for name in ("../secret.png", str(secret), "images/link.png", "images/../../secret.png"):
        for folder in (tmp_path / "set", tmp_path / "elsewhere"):
            with pytest.raises(UserError, match="leads out of the folder of the requests"):
                open_image(folder, name)
    saved(picture(), inside / "own.png")
    (inside / "also.png").symlink_to("own.png")
    assert open_image(tmp_path / "elsewhere", "images/also.png").size == (64, 32)


def test_links_to_the_cache_of_dvc_are_files_of_the_folder(tmp_path: Path) -> None:
    """`dvc config cache.type symlink` makes such links."""
    cached = tmp_path / "cache" / "files" / "md5" / "0a" / ("1" * 30)
    cached.parent.mkdir(parents=True)
    picture().save(cached, "PNG")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").symlink_to(cached)
    assert open_image(tmp_path / "set", "a.png").size == (64, 32)
