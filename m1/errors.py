"""Errors for users: one line for each mistake, which says how to fix it."""

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
# Parts of torch's messages about memory, since these errors have no type of their own.
NO_MEMORY = re.compile(r"can't allocate memory|out of memory|ALLOC_FAILED")


class UserError(Exception):
    """A mistake in the input: what is wrong, where, and what to do about it."""

    @property
    def told(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return (str(self),)


class MistakesError(UserError):
    """Several mistakes, reported together."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Take one line for each mistake."""
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))

    @property
    def told(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return self.lines


class Problems:
    """Collects mistakes, so that the first one does not hide the others."""

    def __init__(self) -> None:
        """Start without mistakes."""
        self.lines: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a mistake that is raised in the block. The code after the block still runs."""
        try:
            yield
        except UserError as error:
            self.lines += (line for line in error.told if line not in self.lines)

    def refuse(self) -> None:
        """Raise an error if there were mistakes.

        Raises:
            UserError: with all mistakes.
        """
        if self.lines:
            raise MistakesError(self.lines)


def is_of_memory(error: BaseException) -> bool:
    """Whether memory was missing. Torch has its own errors, and is not imported here."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))
    )


def run_command(command: Callable[..., Any]) -> None:
    """Run a command line. If it ends early, it prints one line on stderr and has an exit status."""
    typer.run(in_one_line(command))


def in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    """Change a command: mistakes, failures of the disk and signals end it with one line.

    The exit status is 1, or for a signal the status that shells use.
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
            # Libraries, and imports in them, may raise another error when a signal arrives.
            if is_asked() or _follows_ctrl_c(error):
                end_stopped()
            _end(error)

    return told


def _follows_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error was raised because of a Ctrl-C, directly or through other errors."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _end(error: Exception) -> None:
    """End with a line for each mistake of the user. Raise errors of the program again."""
    match error:
        case UserError():
            _leave(*error.told)
        case BrokenPipeError():
            # The reader of the output has closed it.
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
    """The system's message about a file. Very long names are cut."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    name = in_a_line(str(error.filename or "standard output"))
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    return f"{shown}: {reason}"


def _leave(*mistakes: str) -> NoReturn:
    """End with a line for each mistake."""
    say_last("\n".join(f"error: {in_a_line(without_secrets(mistake))}" for mistake in mistakes))
    raise SystemExit(1) from None
