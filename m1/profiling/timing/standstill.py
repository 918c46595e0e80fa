"""Find out whether the thread that measures stood still while wall time passed.

A process may be stopped, a machine suspended, a virtual machine without a core, or memory may have
to come from a disk. All this shows in the same way: wall time passes, and the thread neither runs
nor waits for a core. Waiting for a core does not count as an interruption: it shows a busy machine,
for which there is another check.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

NS_PER_MS = 1e6
# A scheduler, a host of virtual machines or a page fault usually takes a core away for less time.
# Shorter pauses are the machine's jitter, and stay in the tail.
LEAST_STILL_MS = 100.0
# The smallest share of the time: in a request of a minute, a tenth of a second does not matter.
LEAST_SHARE = 0.25
# Two clocks cannot be read at the same moment, and a thread may lose its core in between.
LEAST_SUSPENDED_MS = 1000.0
SCHEDULER = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class ThreadClocks:
    """The clocks of this thread and this machine, read one after another in about 20 us."""

    wall_ns: int
    """Monotonic."""
    ran_ns: int
    """Time that the thread was on a core."""
    waited_ns: int
    """Time that the thread was ready and had no core; 0 if the system does not report it."""
    asleep_ns: int
    """Time that the machine was suspended since its start; 0 if the system does not report it."""

    @classmethod
    def read(cls) -> Self:
        """Read them now."""
        monotonic_ns = time.monotonic_ns()
        asleep_ns = _since_boot_ns(monotonic_ns) - monotonic_ns
        waited_ns = _waited_ns()
        return cls(time.perf_counter_ns(), time.thread_time_ns(), waited_ns, asleep_ns)


@dataclass(frozen=True)
class Elapsed:
    """What passed between two readings."""

    ms: float
    """Time that passed, without the time that the machine was suspended."""
    still_ms: float = 0.0
    """The part of `ms` in which the thread neither ran nor waited for a core."""
    suspended_ms: float = 0.0
    """Time that the machine was suspended."""

    def __add__(self, other: Self) -> Self:
        """Both together, without the time between them."""
        return replace(
            self,
            ms=self.ms + other.ms,
            still_ms=self.still_ms + other.still_ms,
            suspended_ms=self.suspended_ms + other.suspended_ms,
        )

    @property
    def still_share(self) -> float:
        """Share of the time in which the thread stood still."""
        return self.still_ms / self.ms if self.ms else 0.0

    @property
    def suspension(self) -> str | None:
        """A text that the machine was suspended; `None` if it was not."""
        if self.suspended_ms < LEAST_SUSPENDED_MS:
            return None
        return f"the machine was suspended for {self.suspended_ms:.0f} ms"

    @property
    def standstill(self) -> str | None:
        """A text that the thread stood still; `None` if it did not."""
        if self.still_ms < LEAST_STILL_MS or self.still_share < LEAST_SHARE:
            return None
        return f"the process stood still for {self.still_ms:.0f} of {self.ms:.0f} ms"


def elapsed(ms: float, before: ThreadClocks, after: ThreadClocks) -> Elapsed:
    """What passed between two readings.

    Args:
        ms: time by the clock of the measurement, between the two readings.
        before: the first reading.
        after: the second.
    """
    ran_ns = after.ran_ns - before.ran_ns + after.waited_ns - before.waited_ns
    still_ns = after.wall_ns - before.wall_ns - ran_ns
    return Elapsed(
        ms=ms,
        still_ms=max(0.0, still_ns / NS_PER_MS),
        suspended_ms=max(0.0, (after.asleep_ns - before.asleep_ns) / NS_PER_MS),
    )


def _since_boot_ns(monotonic_ns: int) -> int:
    """Time since boot. On Linux this clock includes suspended time; the monotonic one does not."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return monotonic_ns if clock is None else time.clock_gettime_ns(clock)


def _waited_ns() -> int:
    try:
        return int(SCHEDULER.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
