"""The one way to open a file that a user names: a regular file of bearable size, or one line."""

import os
import re
import stat
from pathlib import Path

from m1.errors import UserError
from m1.plain_text import in_a_line

BYTES_PER_GIB = 1 << 30
# The annotations of VQA v2, the largest file that is read whole, have 0.4 GB.
MOST_BYTES = 2 * BYTES_PER_GIB
# Longer than any path that is meant.
LONGEST_SHOWN = 300
# With `cache.type: symlink` DVC puts links to its cache in the place of files.
IN_DVC_CACHE = re.compile(r".*/files/md5/[0-9a-f]{2}/[0-9a-f]{30}")


def check_regular(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """See that a path leads to a regular file of bearable size; nothing is opened.

    Opening a named pipe would wait for ever, a device has no end.

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
    """See that a path leads to what is in a folder of requests, which holds its own images.

    Raises:
        UserError: if it leads out of it.
    """
    try:
        real, home = path.resolve(), folder.resolve()
    except (OSError, ValueError, RuntimeError):
        return  # reading it tells why
    if not real.is_relative_to(home) and not IN_DVC_CACHE.fullmatch(str(real)):
        raise UserError(
            f"{shown(path)}: leads out of the folder of the requests; prepare the requests again"
        )


def is_file(path: Path) -> bool:
    """Whether a path leads to a regular file; one that no file can have does not."""
    return os.path.isfile(path)  # noqa: PTH113 (pathlib raises for a path that is too long)


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; one that no folder can have does not."""
    return os.path.isdir(path)  # noqa: PTH112 (pathlib raises for a path that is too long)


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a file.

    Raises:
        UserError: if it is no regular file, too large, or cannot be read.
    """
    check_regular(path, most_bytes)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _cannot_be_read(path, error) from None


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read UTF-8 text; a byte order mark before it is left out.

    Raises:
        UserError: if the file is no regular one, too large, cannot be read or is not text.
    """
    try:
        return read_bytes(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)}: cannot be read (not UTF-8 text)") from None


def _cannot_be_read(path: Path, error: OSError | ValueError) -> UserError:
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    # A path may be as long as a book, and hold line breaks.
    return UserError(f"{shown(path)}: cannot be read ({reason})")


def shown(path: Path | str) -> str:
    """A path for a message: in one line, cut where it is absurdly long."""
    text = in_a_line(str(path))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
