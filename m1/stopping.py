"""Ctrl-C, SIGTERM and SIGHUP end a command in one line, at any time.

Imports take seconds, and an exception in the middle of one comes out as several tracebacks: until a
command has begun, a signal ends the process on the spot. From then on it raises, so that files are
left whole. So this module imports little itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What shells make of a program that a signal ended.
SIGNAL_BASE = 128
OUTPUTS = (1, 2)
WHOLE = "no result is half written"
AGAIN_S = 0.05

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class _Asked:
    """Which signal asked to stop; Ctrl-C is not noted, since asyncio wants Python's own handler."""

    by: signal.Signals | None = None


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
    write_at_once(_told(signal.Signals(number), WHOLE))
    os._exit(SIGNAL_BASE + number)


def _told(number: signal.Signals, advice: str) -> str:
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    return f"stopped by {name}; {advice}"


@contextmanager
def signals_raise() -> Iterator[None]:
    """Have the signals raise KeyboardInterrupt in the block.

    SIGTERM and SIGHUP come as Ctrl-C, which is handled in order wherever that has a handler of its
    own: asyncio ends its tasks, a run that measures finishes the request at hand.
    """
    _Asked.by = None
    raising = (signal.default_int_handler, _as_ctrl_c, _as_ctrl_c)
    before = [_handle(*pair) for pair in zip(SIGNALS, raising, strict=True)]
    tell_lost = sys.unraisablehook
    sys.unraisablehook = partial(_raise_again, tell_lost)
    try:
        yield
    finally:
        sys.unraisablehook = tell_lost
        for number, handler in zip(SIGNALS, before, strict=True):
            _handle(number, handler)


def _as_ctrl_c(number: int, _: FrameType | None) -> None:
    _Asked.by = signal.Signals(number)
    silence_lost_terminals()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _raise_again(tell: Callable[[Any], Any], lost: Any) -> None:  # noqa: ANN401 (no class of sys)
    """Send a signal once more whose exception was lost, in a `__del__` of a library say."""
    if lost.exc_type is not KeyboardInterrupt:
        tell(lost)
        return
    from threading import Timer

    Timer(AGAIN_S, os.kill, (os.getpid(), _Asked.by or signal.SIGINT)).start()


def _handle(number: signal.Signals, handler: Handler) -> Handler:
    """Set a handler, but leave a signal ignored that a shell has had ignored (`nohup`, `&`)."""
    before = signal.getsignal(number)
    return before if before is signal.SIG_IGN else signal.signal(number, handler)


def check_not_asked() -> None:
    """See that no signal has asked to stop whose exception somebody caught.

    Raises:
        KeyboardInterrupt: if one has.
    """
    if is_asked():
        raise KeyboardInterrupt


def is_asked() -> bool:
    """Whether SIGTERM or SIGHUP asked to stop."""
    return _Asked.by is not None


def end_stopped(advice: str = WHOLE) -> NoReturn:
    """End the command that a signal stopped: one line, and the exit status that shells expect.

    Raises:
        SystemExit: always.
    """
    number = _Asked.by or signal.SIGINT
    say_last(_told(number, advice))
    raise SystemExit(SIGNAL_BASE + number) from None


def say_last(line: str) -> None:
    """Print a line to stderr, where that is still there."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        silence(2)


def write_at_once(line: str) -> None:
    """Write a line from a signal handler: not by print, which may be at work already."""
    try:
        os.write(2, f"{line}\n".encode())
    except OSError:
        silence(2)


def silence(output: int) -> None:
    """Have what is still to be printed go nowhere: it would fail again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def silence_lost_terminals() -> None:
    """Send what is printed nowhere where the terminal is closed, so that the work continues."""
    for output in OUTPUTS:
        try:
            os.write(output, b"")
        except OSError:
            silence(output)
