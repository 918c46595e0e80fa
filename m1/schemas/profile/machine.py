"""Observations of the machine during a run."""

from m1.schemas.base import Record


class Span(Record):
    """The range and spread of several readings."""

    low: float
    """Lowest."""
    median: float
    """Median."""
    high: float
    """Highest."""
    spread: float
    """Width of the middle 90 % of the readings, as a share of the median."""


class GpuState(Record):
    """Reports of NVML about the GPU, in samples between requests. Null: NVML reports no value."""

    n_samples: int
    """Number of samples, at most one per second."""
    n_samples_at_work: int
    """Number of samples in which the GPU had been computing. All spans are of these samples."""
    other_processes: int | None
    """Largest number of other processes that computed on the GPU at the same time; null if
    processes are hidden."""
    sm_mhz: Span | None
    """Clock of the multiprocessors."""
    memory_mhz: Span | None
    """Clock of the memory."""
    temperature_c: Span | None
    """Temperature."""
    power_w: Span | None
    """Power drawn."""
    slowed_share: float | None
    """Share of samples in which heat, power or a fault slowed its clocks."""
    clock_reasons: dict[str, float]
    """For each reason that NVML gives for the clocks, the share of samples with it. Harmless
    reasons are included."""


class MachineState(Record):
    """Observations of the machine during a run."""

    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took; null if it is not known."""
    cpu_mhz: Span | None
    """Clock of the core that the run used, read right after requests; null if the system does not
    report it."""
    gpu: GpuState | None
    """The GPU; null if no GPU was used, or if NVML does not answer."""
    gpu_not_measured: str | None
    """Why no GPU was observed; null if a GPU was observed."""
