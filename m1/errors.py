"""What went wrong, in a line for each mistake that says how to fix it."""

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec

import typer

from m1.plain_text import in_a_line, without_secrets
from m1.stopping import SIGNAL_BASE, end_stopped, is_asked, say_last, signals_raise, silence

P = ParamSpec("P")
LONGEST_NAME = 300
SIGPIPE = 13
# What torch says in errors that have no type of their own.
NO_MEMORY = re.compile(r"can't allocate memory|out of memory|ALLOC_FAILED")


class UserError(Exception):
    """A mistake in the input: what is wrong, where, and what to do about it."""

    @property
    def told(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return (str(self),)


class MistakesError(UserError):
    """Several mistakes, told together."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Note a line for each."""
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))

    @property
    def told(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return self.lines


class Problems:
    """MistakesError that are collected, so that the first does not hide the others."""

    def __init__(self) -> None:
        """Begin with none."""
        self.lines: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A block whose mistake is noted; the code after the block still runs."""
        try:
            yield
        except UserError as error:
            self.lines += (line for line in error.told if line not in self.lines)

    def refuse(self) -> None:
        """End here if there were any.

        Raises:
            UserError: with all of them.
        """
        if self.lines:
            raise MistakesError(self.lines)


def is_of_memory(error: BaseException) -> bool:
    """Whether memory was wanting; torch, which is not imported here, has errors of its own."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))
    )


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
    """Leave with a line for each mistake of the user's; raise what is a mistake of ours."""
    match error:
        case UserError():
            _leave(*error.told)
        case BrokenPipeError():
            # Who reads has seen enough.
            silence(1)
            raise SystemExit(SIGNAL_BASE + SIGPIPE) from None
        case OSError():
            if error.filename is None:
                silence(1)
            _leave(_told(error))
        case MemoryError() | RuntimeError() if is_of_memory(error):
            _leave("out of memory; ask for less at once, or use a larger machine")
    raise error


def _told(error: OSError) -> str:
    """What the system says of a file, which may have a name as long as a book."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    name = in_a_line(str(error.filename or "standard output"))
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    return f"{shown}: {reason}"


def _leave(*mistakes: str) -> NoReturn:
    """End with a line for each mistake."""
    say_last("\n".join(f"error: {in_a_line(without_secrets(one))}" for one in mistakes))
    raise SystemExit(1) from None
