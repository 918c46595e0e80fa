"""Clocks: they take marks during a request. The times are read once, after the request.

On a GPU a mark is an event in the stream, so nothing waits for it. On a CPU it is a reading of the
monotonic clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from time import perf_counter_ns

import torch

from m1.profiling.timing.standstill import NS_PER_MS, Elapsed, ThreadClocks, elapsed


class Clock(ABC):
    """Takes named marks, and reports their times after the request."""

    def __init__(self) -> None:
        """Start without marks."""
        self.names: list[str] = []

    def mark(self, name: str) -> None:
        """Note that something happened now."""
        self.names.append(name)
        self._note()

    def marks_ms(self) -> list[tuple[str, float]]:
        """Every mark with its time in ms since the first, in the order taken."""
        return list(zip(self.names, self._times_ms(), strict=True))

    @abstractmethod
    def _note(self) -> None: ...

    @abstractmethod
    def _times_ms(self) -> Iterable[float]: ...


class CpuClock(Clock):
    """Marks by the monotonic nanosecond clock."""

    def __init__(self) -> None:
        """Start without marks."""
        super().__init__()
        self.readings_ns: list[int] = []

    def _note(self) -> None:
        self.readings_ns.append(perf_counter_ns())

    def _times_ms(self) -> Iterable[float]:
        return [(reading - self.readings_ns[0]) / NS_PER_MS for reading in self.readings_ns]


class CudaClock(Clock):
    """Marks by events in the current stream. Reading the times waits once, for the last event."""

    def __init__(self) -> None:
        """Start without marks."""
        super().__init__()
        self.events: list[torch.cuda.Event] = []

    def _note(self) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.events.append(event)

    def _times_ms(self) -> Iterable[float]:
        self.events[-1].synchronize()
        return [self.events[0].elapsed_time(event) for event in self.events]


def clock_for(device: torch.device) -> Clock:
    """A fresh clock for a device."""
    return CudaClock() if device.type == "cuda" else CpuClock()


class Stopwatch:
    """Measures T_total with a separate clock, from an idle device to an idle device."""

    def __init__(self, device: torch.device) -> None:
        """Start once the device is idle."""
        self.device = device
        self._wait()
        self.before = ThreadClocks.read()
        self.started_ns = perf_counter_ns()

    def stop(self) -> Elapsed:
        """Wait until the device is idle again, and return the time that passed."""
        self._wait()
        ms = (perf_counter_ns() - self.started_ns) / NS_PER_MS
        return elapsed(ms, self.before, ThreadClocks.read())

    def _wait(self) -> None:
        if self.device.type == "cuda":
            # All work is in one stream. Waiting for the whole device takes longer with each graph.
            torch.cuda.current_stream(self.device).synchronize()
