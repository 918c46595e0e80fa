"""Ctrl-C, SIGTERM and SIGHUP end a command in one line, at any time.

Imports take seconds, and an exception during an import prints several tracebacks. So until a
command has begun, a signal ends the process at once. Later it raises an exception, so that files
stay whole. This module itself imports little.
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
# The exit status of shells for a program that a signal ended.
SIGNAL_BASE = 128
OUTPUTS = (1, 2)
WHOLE = "no result is half written"
AGAIN_S = 0.05

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class _Asked:
    """The signal that asked to stop. Ctrl-C is not noted: asyncio needs Python's own handler."""

    by: signal.Signals | None = None


def begin() -> None:
    """Prepare for signals. Call this before any import that takes time."""
    for number in SIGNALS:
        _handle(number, _leave)
    # Otherwise a file that is opened later would get the number of stdout or stderr.
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
    """Inside the block, the signals raise KeyboardInterrupt.

    SIGTERM and SIGHUP are treated as Ctrl-C. Code with its own handler of Ctrl-C ends in order:
    asyncio ends its tasks, and a run that measures finishes the current request.
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
    _silence_lost_terminals()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _raise_again(tell: Callable[[Any], Any], lost: Any) -> None:  # noqa: ANN401 (no class of sys)
    """Send a signal again if its exception was lost, for example in a library's `__del__`."""
    if lost.exc_type is not KeyboardInterrupt:
        tell(lost)
        return
    from threading import Timer

    Timer(AGAIN_S, os.kill, (os.getpid(), _Asked.by or signal.SIGINT)).start()


def _handle(number: signal.Signals, handler: Handler) -> Handler:
    """Set a handler, unless a shell made the process ignore this signal (`nohup`, `&`)."""
    before = signal.getsignal(number)
    return before if before is signal.SIG_IGN else signal.signal(number, handler)


def check_not_asked() -> None:
    """Check that no signal asked to stop. Other code may have caught its exception.

    Raises:
        KeyboardInterrupt: if a signal did.
    """
    if is_asked():
        raise KeyboardInterrupt


def is_asked() -> bool:
    """Whether SIGTERM or SIGHUP asked to stop."""
    return _Asked.by is not None


def signal_asked() -> signal.Signals:
    """The signal that asked to stop, after a KeyboardInterrupt."""
    return _Asked.by or signal.SIGINT


def end_stopped(advice: str = WHOLE) -> NoReturn:
    """End the command after a signal, with one line and the exit status that shells expect.

    Raises:
        SystemExit: always.
    """
    number = signal_asked()
    say_last(_told(number, advice))
    raise SystemExit(SIGNAL_BASE + number) from None


def say_last(line: str) -> None:
    """Print a line to stderr, if it is still open."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        silence(2)


def write_at_once(line: str) -> None:
    """Write a line from a signal handler, without `print`, which may be running already."""
    try:
        os.write(2, f"{line}\n".encode())
    except OSError:
        silence(2)


def silence(output: int) -> None:
    """Discard all further output, which would fail again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def _silence_lost_terminals() -> None:
    """If the terminal is closed, discard the output, so that the work continues."""
    for output in OUTPUTS:
        try:
            os.write(output, b"")
        except OSError:
            silence(output)
