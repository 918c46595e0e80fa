"""The load by other processes during a run, and the clock of the cores."""

import os
from time import monotonic

import psutil


class CpuMeter:
    """Compares the CPU time of the whole machine with that of this process."""

    def __init__(self) -> None:
        """Start metering."""
        self.process = psutil.Process()
        self.started = (monotonic(), self._machine_s(), self._own_s())

    def others_share(self) -> float:
        """Share of the machine's CPU time since the start that other processes took."""
        started, machine_s, own_s = self.started
        capacity_s = (monotonic() - started) * (os.cpu_count() or 1)
        others_s = (self._machine_s() - machine_s) - (self._own_s() - own_s)
        return max(0.0, others_s / capacity_s) if capacity_s else 0.0

    def _machine_s(self) -> float:
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # User time already includes the time of guests.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return float(sum(times) - waiting - guests)

    def _own_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


def core_mhz() -> float | None:
    """Clock of the core that this process runs on; `None` if the system does not report it.

    Right after work it is the clock of the work. Idle cores may have a lower one.
    """
    try:
        cores = psutil.cpu_freq(percpu=True)
        number = psutil.Process().cpu_num()
    except (AttributeError, NotImplementedError, OSError, psutil.Error):
        return None
    # Some systems report one clock for all cores.
    core = cores[number] if number < len(cores) else next(iter(cores), None)
    return float(core.current) or None if core else None
