"""Ctrl-C while measuring: once ends after the request at hand, twice at once; so does SIGTERM."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from m1.stopping import exit_code


class CtrlC:
    """While it is open, Ctrl-C waits for the request at hand, and ends in one line."""

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self.is_measuring = self.is_asked = False

    def __enter__(self) -> Self:
        """Listen."""
        self.before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Listen no more; leave with the exit code of an interrupted program."""
        signal.signal(signal.SIGINT, self.before)
        if isinstance(error, KeyboardInterrupt):
            print(
                "stopped: what was measured is kept, `dvc repro` goes on from there",
                file=sys.stderr,
            )
            raise SystemExit(exit_code()) from None

    def _hear(self, _: int, __: FrameType | None) -> None:
        if self.is_asked or not self.is_measuring:
            raise KeyboardInterrupt
        self.is_asked = True
        # Not by print, which may be at work already.
        os.write(2, b"\nfinishing this request; Ctrl-C once more leaves at once\n")

    @contextmanager
    def one_request(self) -> Iterator[None]:
        """Hold off a first Ctrl-C until the block is done.

        Raises:
            KeyboardInterrupt: then, if there was one.
        """
        self.is_measuring = True
        try:
            yield
        finally:
            self.is_measuring = False
        if self.is_asked:
            raise KeyboardInterrupt
