"""Watching the machine during a run, between requests only.

Looks are taken right after a request. So the clocks are those of work, and NVML never answers
while a request is timed. A background thread would wake in the middle of requests, and take
Python's lock from the thread that launches kernels.
"""

from collections.abc import Callable
from statistics import median, quantiles
from time import monotonic

import torch

from m1.profiling.gpu import GpuSample, NotMeasuredError, NvmlGpu, find_gpu
from m1.profiling.machine import CpuMeter, core_mhz
from m1.schemas.profile import GpuState, MachineState, Span

INTERVAL_S = 1.0
# Looks take at most this share of the run, even if each of them is slow.
LARGEST_SHARE = 0.02
VINGTILES = 20


class MachineWatch:
    """Looks at the machine between requests, at most once a second."""

    def __init__(
        self,
        device: torch.device,
        gpu: NvmlGpu | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Start watching the machine, and the GPU if the device is one."""
        self.gpu, self.gpu_not_measured = gpu, None if gpu else "no GPU in use"
        if gpu is None:
            self._find(device)
        self.now = now
        self.due = now()
        self.cpu = CpuMeter()
        self.gpu_samples: list[GpuSample] = []
        self.core_mhz: list[float | None] = []

    def _find(self, device: torch.device) -> None:
        try:
            self.gpu, self.gpu_not_measured = find_gpu(device), None
        except NotMeasuredError as reason:
            self.gpu_not_measured = str(reason)

    def look(self) -> None:
        """Take a sample if one is due. Call this right after a request."""
        started = self.now()
        if started < self.due:
            return
        self.core_mhz.append(core_mhz())
        if self.gpu:
            self.gpu_samples.append(self.gpu.sample())
        took_s = self.now() - started
        self.due = started + max(INTERVAL_S, took_s / LARGEST_SHARE)

    def state(self) -> MachineState:
        """What was seen since the start."""
        return MachineState(
            cpu_others_share=self.cpu.others_share(),
            cpu_mhz=span(self.core_mhz),
            gpu=gpu_state(self.gpu_samples) if self.gpu_samples else None,
            gpu_not_measured=self.gpu_not_measured,
        )


def gpu_state(samples: list[GpuSample]) -> GpuState:
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
