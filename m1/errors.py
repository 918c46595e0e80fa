"""What went wrong, in one line that says how to mend it."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec

import typer

from m1.plain_text import in_a_line, without_secrets
from m1.stopping import SIGNAL_BASE, end_stopped, is_asked, say_last, signals_raise, silence

P = ParamSpec("P")
LONGEST_NAME = 300
SIGPIPE = 13


class UserError(Exception):
    """A mistake in the input: what is wrong, where, and what to do about it."""


def run_command(command: Callable[..., Any]) -> None:
    """Run a command line; what ends it early is one line on stderr, and an exit status."""
    typer.run(in_one_line(command))


def in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose mistakes, failures of the disk and signals end it in one line.

    The exit status is 1, or for a signal what shells make of it.
    """

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with signals_raise():
                command(*args, **kwargs)
                sys.stdout.flush()
        except KeyboardInterrupt:
            end_stopped()
        except Exception as error:
            # Libraries make other errors of what a signal raises.
            if is_asked():
                end_stopped()
            _end(error)

    return told


def _end(error: Exception) -> None:
    """Leave with a line about an error; raise it where it is a mistake of ours."""
    match error:
        case UserError():
            _leave(f"error: {error}", 1)
        case BrokenPipeError():
            # Who reads has seen enough.
            silence(1)
            raise SystemExit(SIGNAL_BASE + SIGPIPE) from None
        case OSError():
            if error.filename is None:
                silence(1)
            _leave(f"error: {_told(error)}", 1)
        case MemoryError() | RuntimeError() if _is_of_memory(error):
            _leave("error: out of memory; ask for less at once, or use a larger machine", 1)
    raise error


def _is_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether memory was wanting; torch, which is not imported here, has errors of its own."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _told(error: OSError) -> str:
    """What the system says of a file, which may have a name as long as a book."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    name = in_a_line(str(error.filename or "standard output"))
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    return f"{shown}: {reason}"


def _leave(line: str, status: int) -> NoReturn:
    say_last(in_a_line(without_secrets(line)))
    raise SystemExit(status) from None
