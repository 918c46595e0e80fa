"""What went wrong, in one line that says how to mend it."""

import sys
from collections.abc import Callable
from typing import Any

import typer


class UserError(Exception):
    """A mistake in the input: what is wrong, where, and what to do about it."""


def run_command(command: Callable[..., Any]) -> None:
    """Run a command line; a `UserError` becomes one line on stderr and exit status 1."""
    try:
        typer.run(command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
