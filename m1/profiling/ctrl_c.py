"""Signals while measuring. The first ends a run after the current request, the second at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from m1.stopping import check_not_asked, end_stopped, is_asked, write_at_once

KEPT = "what was measured is kept, and `dvc repro` resumes"


class CtrlC:
    """While it is open, Ctrl-C ends the run after the current request, with one line of text."""

    def __init__(self) -> None:
        """Start without a request to stop."""
        self.is_measuring = self.is_asked = False

    def __enter__(self) -> Self:
        """Install the handler of Ctrl-C."""
        self.before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Stop listening; exit with the code of an interrupted program."""
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
        """Delay a first Ctrl-C until the block is done.

        Raises:
            KeyboardInterrupt: after the block, if there was a Ctrl-C.
        """
        check_not_asked()
        self.is_measuring = True
        try:
            yield
        finally:
            self.is_measuring = False
        if self.is_asked:
            raise KeyboardInterrupt
