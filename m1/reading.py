"""The only way to open a file that a user names. It must be a regular file and not too large."""

import codecs
import os
import re
import stat
from pathlib import Path

from m1.errors import UserError
from m1.plain_text import in_a_line

BYTES_PER_GIB = 1 << 30
# The annotations of VQA v2, the largest file that is read whole, have 0.4 GB.
MOST_BYTES = 2 * BYTES_PER_GIB
# Longer than any real path.
LONGEST_SHOWN = 300
# With `cache.type: symlink` DVC replaces files by links to its cache.
IN_DVC_CACHE = re.compile(r".*/files/md5/[0-9a-f]{2}/[0-9a-f]{30}")


def check_regular(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Check that a path leads to a regular file that is not too large. Nothing is opened.

    Opening a named pipe would wait for ever, and reading a device would never end.

    Raises:
        UserError: if it does not.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise _cannot_be_read(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{shown(path)}: cannot be read (Is a directory)")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(
            f"{shown(path)}: cannot be read (a pipe, socket or device); give a regular file"
        )
    if found.st_size > most_bytes:
        size = f"{found.st_size:,} bytes of at most {most_bytes:,}"
        raise UserError(f"{shown(path)}: cannot be read (too large: {size})")


def check_inside(path: Path, folder: Path) -> None:
    """Check that a path stays in a folder of requests, which has its own images.

    Raises:
        UserError: if it leads out of it.
    """
    if leads_out(path, folder):
        raise UserError(
            f"{shown(path)}: leads out of the folder of the requests; prepare the requests again"
        )


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, with its links, leads out of a folder. DVC's cache does not count as out."""
    try:
        real, home = path.resolve(), folder.resolve()
    except (OSError, ValueError, RuntimeError):
        return False  # reading it reports the reason
    return not real.is_relative_to(home) and not IN_DVC_CACHE.fullmatch(str(real))


def is_file(path: Path) -> bool:
    """Whether a path leads to a regular file; an impossible path does not."""
    return os.path.isfile(path)  # noqa: PTH113 (pathlib raises for a path that is too long)


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; an impossible path does not."""
    return os.path.isdir(path)  # noqa: PTH112 (pathlib raises for a path that is too long)


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a file.

    Raises:
        UserError: if it is not a regular file, is too large, or cannot be read.
    """
    check_regular(path, most_bytes)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _cannot_be_read(path, error) from None


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read UTF-8 text without its byte order mark.

    UTF-16 text, which Windows calls Unicode, can be valid UTF-8 by accident, so it is checked.

    Raises:
        UserError: if it is not a regular file, is too large, cannot be read or is not text.
    """
    try:
        if not _is_utf_16(content := read_bytes(path, most_bytes)):
            return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise UserError(f"{shown(path)}: cannot be read (not UTF-8 text); save it as UTF-8")


def _is_utf_16(content: bytes) -> bool:
    """Whether a text that begins with an ASCII letter or sign has two bytes for each."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]


def _cannot_be_read(path: Path, error: OSError | ValueError) -> UserError:
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    # A path may be very long, and may contain line breaks.
    return UserError(f"{shown(path)}: cannot be read ({reason})")


def shown(path: Path | str) -> str:
    """A path for a message: in one line, and cut if it is very long."""
    text = in_a_line(str(path))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
