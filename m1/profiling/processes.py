"""Run a command in fresh processes, one after the other, until it says that all is measured.

What differs between processes, such as the layout of memory and the choices of a compiler, is the
same within one. So a run that measures in several processes shows it. What was measured is in the
journal, so every process resumes from it.
"""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from m1.errors import UserError
from m1.stopping import signal_asked

MORE_LEFT = 64
"""Exit status of a process after which another one has to measure the rest."""


def run_until_complete(command: Sequence[str]) -> None:
    """Run the command again and again, as long as it has more left.

    Raises:
        SystemExit: with the status of the command, if it fails. It has told why.
        UserError: if the system ended the process.
    """
    while (status := _run(command)) == MORE_LEFT:
        pass
    if status < 0:
        name = signal.Signals(-status).name
        raise UserError(
            f"the process that measures was ended by {name} (out of memory?): `dvc repro` resumes"
        )
    if status:
        raise SystemExit(status)


def _run(command: Sequence[str]) -> int:
    """Run the command once. Signals for this process are for the command."""
    # In a group of its own it does not get Ctrl-C from the terminal as well, which would be twice.
    child = subprocess.Popen(command, process_group=0)
    with _stopped_together(child):
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal_asked())


@contextmanager
def _stopped_together(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Inside the block, Ctrl-Z stops the child, too, and `fg` continues it."""

    def stop(_: int, __: FrameType | None) -> None:
        child.send_signal(signal.SIGSTOP)
        signal.raise_signal(signal.SIGSTOP)
        child.send_signal(signal.SIGCONT)

    before = signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
