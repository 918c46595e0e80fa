"""Files that only grow, a checked line at a time, and are whole up to where writing was cut off.

Each line is the CRC-32 of a text in eight hexadecimal digits, a blank, and the text.
"""

import os
import zlib
from pathlib import Path
from typing import Self

from m1.errors import UserError
from m1.files import cannot_be_written
from m1.reading import check_regular

PREFIX = "%08x "
LENGTH = len(PREFIX % 0)


class CheckedLines:
    """A file of checked lines, open to be appended to."""

    def __init__(self, path: Path) -> None:
        """Open a file, made where it is missing.

        What a crash left of a last line is cut off.

        Raises:
            UserError: if it cannot be written, or is damaged before its last whole line.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            check_regular(path)
            self.texts, n_whole = _whole_lines(path)
            os.truncate(path, n_whole)
            _sync_folder(path.parent)
            self.file = path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_be_written(path, error) from None

    def __enter__(self) -> Self:
        """Nothing: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def append(self, text: str) -> None:
        """Append a line; once this returns, neither a kill nor a power cut takes it away.

        Raises:
            UserError: if it cannot be written.
        """
        data = memoryview(_line(text))
        try:
            while data:
                data = data[self.file.write(data) :]
            os.fsync(self.file.fileno())
        except OSError as error:
            raise cannot_be_written(self.path, error) from None

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _line(text: str) -> bytes:
    data = text.encode()
    return _prefix(data) + data + b"\n"


def _prefix(data: bytes) -> bytes:
    return (PREFIX % zlib.crc32(data)).encode()


def _whole_lines(path: Path) -> tuple[list[str], int]:
    """The texts of the whole lines, and how many bytes they take."""
    lines = path.read_bytes().split(b"\n")
    texts = [_text(line) for line in lines[:-1]]
    n_whole = texts.index(None) if None in texts else len(texts)
    if any(text is not None for text in texts[n_whole:]):
        raise UserError(
            f"{path}: line {n_whole + 1} is damaged, though later ones are whole, so this is not "
            "what a crash leaves: delete the file to start anew"
        )
    whole = [text for text in texts[:n_whole] if text is not None]
    return whole, sum(len(line) + 1 for line in lines[:n_whole])


def _text(line: bytes) -> str | None:
    """The text of a line; nothing where it is not what was written."""
    prefix, data = line[:LENGTH], line[LENGTH:]
    return data.decode() if prefix == _prefix(data) else None


def _sync_folder(folder: Path) -> None:
    """Have the file's name on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
