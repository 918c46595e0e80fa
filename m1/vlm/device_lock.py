"""Allow one run at a time on a device, since two would disturb each other's timings."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from m1.errors import UserError
from m1.files import write_text
from m1.plain_text import tell
from m1.reading import read_text

POLL_S = 0.5
# All processes of a user use the same folders, whatever their TMPDIR is.
PLACES = (Path("/tmp"), Path("/var/tmp"))
# This variable names another folder, if none of them can be written.
VARIABLE = "M1_LOCKS"


@contextmanager
def device_lock(device: torch.device) -> Iterator[None]:
    """Reserve a device for this run, among all runs of this user on this machine.

    If another run has the device, this waits and says so. The operating system keeps the lock, and
    releases it when the process ends, for whatever reason.

    Raises:
        UserError: if there is no place for locks.
    """
    name = outside_name(device)
    folder = _folder_of_locks()
    holder = folder / f"{name}.holder"
    try:
        lock = FileLock(folder / f"{name}.lock", poll_interval=POLL_S)
        _acquire(lock, holder, name)
    except OSError as error:
        raise _no_place(folder, os.strerror(error.errno or 0)) from None
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(f"process {os.getpid()}, since {started}", holder)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _folder_of_locks() -> Path:
    """This user's own folder of locks. Locks of other users have no effect."""
    chosen = os.environ.get(VARIABLE)
    places = (Path(chosen),) if chosen else PLACES
    folders = [place / f"m1-locks-{os.getuid()}" for place in places]
    reasons = [_why_not(folder) for folder in folders]
    if None not in reasons:
        raise _no_place(folders[0], str(reasons[0]))
    return folders[reasons.index(None)]


def _why_not(folder: Path) -> str | None:
    """Why a folder cannot hold locks, if so. A missing folder is made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return os.strerror(error.errno or 0)
    # In a folder where everybody can write, another user may have made it first.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return "it belongs to another user"
    return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def _no_place(folder: Path, reason: str) -> UserError:
    return UserError(
        f"{folder}: no lock can be kept there ({reason}); set {VARIABLE} to a folder of yours, the "
        "same for all runs on this machine"
    )


def _acquire(lock: FileLock, holder: Path, name: str) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell(f"waiting for {name}: another run has it ({_told(holder)})")
        lock.acquire()
        tell(f"{name} is free: continuing")


def _told(holder: Path) -> str:
    """Who has the lock."""
    try:
        return read_text(holder)
    except UserError:
        return "it just began or ended"


def outside_name(device: torch.device) -> str:
    """A name of the device that is the same in every process: `cpu`, or the GPU's outside name.

    A process numbers only the GPUs that `CUDA_VISIBLE_DEVICES` shows. The GPU itself is not asked,
    since a waiting process must not appear on it.
    """
    if device.type != "cuda":
        return device.type
    place = device.index or 0
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    outside = shown[place].strip() if place < len(shown) else ""
    return f"cuda-{outside or place}"
