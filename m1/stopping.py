"""Ctrl-C and SIGTERM end a command in one line, at any time.

Imports take seconds, and an exception in the middle of one comes out as several tracebacks: until a
command has begun, a signal ends the process on the spot. From then on it raises, so that files are
left whole.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What shells make of a program that a signal ended.
SIGNAL_BASE = 128

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent."""


def begin() -> None:
    """To be called before anything that takes time is imported."""
    for number in SIGNALS:
        _handle(number, _leave)
    # Without, a file that is opened later would get the number that programs print to.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, b"stopped\n")
    os._exit(SIGNAL_BASE + number)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Have both signals raise KeyboardInterrupt in the block."""
    before = [_handle(number, _raise) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            _handle(number, handler)


def _raise(number: int, _: FrameType | None) -> None:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _handle(number: signal.Signals, handler: Handler) -> Handler:
    """Set a handler, but leave a signal ignored that a shell has had ignored (`nohup`, `&`)."""
    before = signal.getsignal(number)
    return before if before is signal.SIG_IGN else signal.signal(number, handler)


def exit_code(error: BaseException) -> int:
    """The exit code of a command that a signal ended."""
    number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
    return SIGNAL_BASE + number
