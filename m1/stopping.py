"""Ctrl-C and SIGTERM end a command in one line, at any time.

Imports take seconds, and an exception in the middle of one comes out as several tracebacks: until a
command has begun, a signal ends the process on the spot. From then on it raises, so that files are
left whole. So this module imports little itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What shells make of a program that a signal ended.
SIGNAL_BASE = 128

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class _Asked:
    """Which signal asked to stop."""

    by = signal.SIGINT


def begin() -> None:
    """To be called before anything that takes time is imported."""
    for number in SIGNALS:
        _handle(number, _leave)
    # Without, a file that is opened later would get the number that programs print to.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, b"stopped\n")
    os._exit(SIGNAL_BASE + number)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Have both signals raise KeyboardInterrupt in the block.

    SIGTERM comes as Ctrl-C, which is handled in order wherever that has a handler of its own:
    asyncio ends its tasks, a run that measures finishes the request at hand.
    """
    _Asked.by = signal.SIGINT
    raising = (signal.default_int_handler, _as_ctrl_c)
    before = [_handle(*pair) for pair in zip(SIGNALS, raising, strict=True)]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            _handle(number, handler)


def _as_ctrl_c(_: int, __: FrameType | None) -> None:
    _Asked.by = signal.SIGTERM
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _handle(number: signal.Signals, handler: Handler) -> Handler:
    """Set a handler, but leave a signal ignored that a shell has had ignored (`nohup`, `&`)."""
    before = signal.getsignal(number)
    return before if before is signal.SIG_IGN else signal.signal(number, handler)


def exit_code() -> int:
    """The exit status of a command that a signal ended."""
    return SIGNAL_BASE + _Asked.by
