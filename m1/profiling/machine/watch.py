"""Watching the machine during a run, between requests only.

Looks are taken right after a request. So the clocks are those of work, and NVML never answers
while a request is timed. A background thread would wake in the middle of requests, and take
Python's lock from the thread that launches kernels.
"""

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import monotonic

import torch

from m1.profiling.journal.entries import Look
from m1.profiling.machine.cpu import CpuMeter, core_mhz
from m1.profiling.machine.gpu import GpuSample, NotMeasuredError, NvmlGpu, find_gpu
from m1.schemas.profile import GpuState, MachineState, Span

INTERVAL_S = 1.0
# Looks take at most this share of the run, even if each of them is slow.
LARGEST_SHARE = 0.02
VINGTILES = 20


class MachineWatch:
    """Looks at the machine between requests, at most once a second.

    A run that was interrupted starts with its earlier looks. Pauses count neither as time of the
    run nor as load.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        earlier: Sequence[Sequence[Look]] = (),
        on_look: Callable[[Look], object] = lambda look: None,
        gpu: NvmlGpu | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Start to watch the machine, and the GPU if the device is one.

        Args:
            device: the device that measures.
            earlier: the looks of each earlier part of the run.
            on_look: called with each new look, for example to write it to a journal.
            gpu: the GPU to ask; by default it is found from the device.
            now: a clock in seconds.
        """
        self.gpu, self.gpu_not_measured = gpu, None if gpu else "no GPU in use"
        if gpu is None:
            self._find(device)
        self.on_look, self.now = on_look, now
        self.due = self.started = now()
        self.cpu = CpuMeter()
        self.last_of_parts = [part[-1] for part in earlier if part]
        self.looks = [look for part in earlier for look in part]

    def _find(self, device: torch.device) -> None:
        try:
            self.gpu, self.gpu_not_measured = find_gpu(device), None
        except NotMeasuredError as reason:
            self.gpu_not_measured = str(reason)

    def look(self) -> None:
        """Take a look if one is due. Call this right after a request."""
        started = self.now()
        if started < self.due:
            return
        mhz = core_mhz()
        gpu = self.gpu.sample() if self.gpu else None
        took_s = self.now() - started
        self.due = started + max(INTERVAL_S, took_s / LARGEST_SHARE)
        look = Look(
            elapsed_s=self.now() - self.started,
            cpu_others_share=self.cpu.others_share(),
            core_mhz=mhz,
            gpu=gpu,
        )
        self.looks.append(look)
        self.on_look(look)

    @property
    def duration_s(self) -> float:
        """Wall time of measuring, without pauses."""
        return sum(look.elapsed_s for look in self.last_of_parts) + self.now() - self.started

    def state(self) -> MachineState:
        """The state of the machine since the run began."""
        samples = [look.gpu for look in self.looks if look.gpu]
        return MachineState(
            cpu_others_share=self._others_share(),
            cpu_mhz=span([look.core_mhz for look in self.looks]),
            gpu=_gpu_state(samples) if samples else None,
            gpu_not_measured=self.gpu_not_measured,
        )

    def _others_share(self) -> float | None:
        """Share of CPU time of other processes, over all parts of the run."""
        now_s, share = self.now() - self.started, self.cpu.others_share()
        if share is None:
            return None
        parts = [(look.elapsed_s, look.cpu_others_share) for look in self.last_of_parts]
        busy_s = sum(s * of_part for s, of_part in [*parts, (now_s, share)] if of_part)
        return busy_s / self.duration_s if self.last_of_parts else share


def _gpu_state(samples: list[GpuSample]) -> GpuState:
    """Summary of a GPU's samples. Clocks, heat and power are only from samples right after work."""
    work = [sample for sample in samples if sample.at_work]
    told = [sample for sample in samples if sample.reasons is not None]
    names = sorted({name for sample in told for name in sample.reasons or ()})
    neighbours = [s.n_other_processes for s in samples if s.n_other_processes is not None]
    return GpuState(
        n_samples=len(samples),
        n_samples_at_work=len(work),
        other_processes=max(neighbours, default=None),
        sm_mhz=span([sample.sm_mhz for sample in work]),
        memory_mhz=span([sample.memory_mhz for sample in work]),
        temperature_c=span([sample.temperature_c for sample in work]),
        power_w=span([sample.power_w for sample in work]),
        slowed_share=sum(s.slowed for s in told) / len(told) if told else None,
        clock_reasons={
            name: sum(name in (s.reasons or ()) for s in told) / len(told) for name in names
        },
    )


def span(readings: list[float | None]) -> Span | None:
    """The range of readings; `None` without readings."""
    known = [float(reading) for reading in readings if reading is not None]
    if not known:
        return None
    # The spread is that of the middle 90 %, so one odd reading among hundreds does not set it.
    cuts = quantiles(known, n=VINGTILES, method="inclusive") if len(known) > 1 else known
    middle = median(known)
    return Span(
        low=min(known),
        median=middle,
        high=max(known),
        spread=(cuts[-1] - cuts[0]) / middle if middle else 0.0,
    )
