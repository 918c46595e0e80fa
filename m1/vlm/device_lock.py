"""One run at a time on a device: two at once would spoil each other's timings."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from m1.errors import UserError
from m1.files import write_text
from m1.reading import read_text

POLL_S = 0.5


@contextmanager
def device_lock(device: torch.device) -> Iterator[None]:
    """Have a device alone, among all runs of this user on this machine.

    Waits while another run has it, and says so. The lock is the operating system's: it ends with
    the process that holds it, however that ends.

    Raises:
        UserError: if the folder of locks cannot be written.
    """
    name = outside_name(device)
    folder = Path(tempfile.gettempdir()) / f"m1-locks-{os.getuid()}"
    holder = folder / f"{name}.holder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock", poll_interval=POLL_S)
        _acquire(lock, holder, name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); set TMPDIR to a folder that can"
        ) from None
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(f"process {os.getpid()}, since {started}", holder)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, holder: Path, name: str) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell(f"waiting for {name}: another run has it ({_told(holder)})")
        lock.acquire()
        tell(f"{name} is free: going on")


def _told(holder: Path) -> str:
    """Who has the lock."""
    try:
        return read_text(holder)
    except UserError:
        return "it just began or ended"


def outside_name(device: torch.device) -> str:
    """A name that is the same in every process: `cpu`, or the GPU by what it is known as outside.

    Numbers of GPUs count those that `CUDA_VISIBLE_DEVICES` shows. The GPU itself is not asked:
    a process that waits must not be seen on it.
    """
    if device.type != "cuda":
        return device.type
    place = device.index or 0
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    outside = shown[place].strip() if place < len(shown) else ""
    return f"cuda-{outside or place}"
