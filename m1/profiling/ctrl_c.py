"""Signals while measuring: the first ends a run after the request at hand, the second at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from m1.stopping import check_not_asked, end_stopped, is_asked, write_at_once

KEPT = "what was measured is kept, and `dvc repro` resumes"


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
        if isinstance(error, KeyboardInterrupt) or (isinstance(error, Exception) and is_asked()):
            end_stopped(KEPT)

    def _hear(self, _: int, __: FrameType | None) -> None:
        if self.is_asked or not self.is_measuring:
            raise KeyboardInterrupt
        self.is_asked = True
        write_at_once("\nfinishing this request; Ctrl-C once more leaves at once")

    @contextmanager
    def one_request(self) -> Iterator[None]:
        """Hold off a first Ctrl-C until the block is done.

        Raises:
            KeyboardInterrupt: then, if there was one.
        """
        check_not_asked()
        self.is_measuring = True
        try:
            yield
        finally:
            self.is_measuring = False
        if self.is_asked:
            raise KeyboardInterrupt
