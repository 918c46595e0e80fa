"""Files that only grow, by one checked line at a time. After a crash all earlier lines are whole.

Each line has three parts with blanks between them: the CRC-32 of the rest in eight hexadecimal
digits, its number from 1, and a text. The number shows lines that are missing, moved or from
another file.
"""

import fcntl
import os
import zlib
from pathlib import Path
from typing import BinaryIO, Self

from m1.errors import UserError
from m1.files import cannot_be_written
from m1.reading import check_regular

CRC = "%08x "
LENGTH = len(CRC % 0)


class CheckedLines:
    """A file of checked lines, open to be appended to."""

    def __init__(self, path: Path) -> None:
        """Open a file. A missing file is made.

        If a crash cut off the last line, the rest of this line is removed.

        Raises:
            UserError: if the file cannot be written, if another process writes it, or if it has a
                damage that is not from a crash.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            check_regular(path)
            self.file = _open_alone(path)
            self.texts = self._read()
            self.n_lines = len(self.texts)
        except OSError as error:
            raise cannot_be_written(path, error) from None

    def __enter__(self) -> Self:
        """Return this file. It was opened when the object was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def _read(self) -> list[str]:
        """The texts of the whole lines. Anything after them is cut off."""
        try:
            texts, n_whole = _whole_lines(self.path)
            os.truncate(self.path, n_whole)
            _sync_folder(self.path.parent)
        except BaseException:
            self.close()
            raise
        return texts

    def append(self, text: str) -> None:
        """Append a line. Once this returns, neither a kill nor a power cut can lose the line.

        Raises:
            UserError: if it cannot be written.
        """
        data = memoryview(_line(text, self.n_lines + 1))
        try:
            while data:
                data = data[self.file.write(data) :]
            os.fsync(self.file.fileno())
        except OSError as error:
            raise cannot_be_written(self.path, error) from None
        self.n_lines += 1

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _open_alone(path: Path) -> BinaryIO:
    """Open a file for appending, if no other process has it open for appending.

    Raises:
        UserError: if another process has.
    """
    file = path.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    except OSError:
        return file  # Some file systems have no locks. The lock of the device still protects.
    if not is_there:
        file.close()
        raise UserError(f"{path}: another run is writing it; wait until that ends")
    return file


def _line(text: str, number: int) -> bytes:
    data = f"{number} {text}".encode()
    return _crc(data) + data + b"\n"


def _crc(data: bytes) -> bytes:
    return (CRC % zlib.crc32(data)).encode()


def _whole_lines(path: Path) -> tuple[list[str], int]:
    """The texts of the whole lines, and their size in bytes."""
    lines = path.read_bytes().split(b"\n")
    texts: list[str] = []
    wrong = ""
    for place, line in enumerate(lines[:-1], start=1):
        # A copy that was made on Windows may have its line ends.
        found = _numbered_text(line) or _numbered_text(line.removesuffix(b"\r"))
        if found is None:
            wrong = wrong or f"line {place} is damaged, though later ones are whole"
        elif wrong or found[0] != str(place):
            wrong = wrong or f"line {place} is not in its place"
            raise UserError(
                f"{path}: {wrong}, so this is not what a crash leaves: delete the file to start "
                "anew"
            )
        else:
            texts.append(found[1])
    if wrong and not texts:
        raise UserError(
            f"{path}: no line of it is whole, which is not what a crash leaves: restore the file, "
            "or delete it to start anew"
        )
    return texts, sum(len(line) + 1 for line in lines[: len(texts)])


def _numbered_text(line: bytes) -> tuple[str, str] | None:
    """The number and the text of a line; `None` if the line is damaged."""
    crc, data = line[:LENGTH], line[LENGTH:]
    if crc != _crc(data):
        return None
    number, _, text = data.decode().partition(" ")
    return number, text


def _sync_folder(folder: Path) -> None:
    """Write the file's name to the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
