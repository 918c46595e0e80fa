"""The state of the machine during a run."""

from m1.schemas.base import Record


class Span(Record):
    """The range of some readings."""

    low: float
    """Lowest."""
    median: float
    """Median."""
    high: float
    """Highest."""
    spread: float
    """Width of the middle 90 % of the readings, as a share of the median."""


class GpuState(Record):
    """State of the GPU by NVML, sampled between requests; null if NVML does not report a value."""

    n_samples: int
    """Number of samples, at most one per second."""
    n_samples_at_work: int
    """Number of samples with utilisation. All ranges are from these samples."""
    other_processes: int | None
    """Largest number of other processes that computed on the GPU at once; null if processes are
    hidden."""
    sm_mhz: Span | None
    """Clock of the multiprocessors."""
    memory_mhz: Span | None
    """Clock of the memory."""
    temperature_c: Span | None
    """Temperature."""
    power_w: Span | None
    """Power drawn."""
    slowed_share: float | None
    """Share of samples in which heat, power or a fault reduced the clocks."""
    clock_reasons: dict[str, float]
    """Share of samples with each reason for the clocks, including harmless reasons."""


class MachineState(Record):
    """The state of the machine during a run."""

    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took."""
    cpu_mhz: Span | None
    """Clock of the run's core, read right after requests; null if the system does not report it."""
    gpu: GpuState | None
    """State of the GPU; null if the run used none, or NVML does not answer."""
    gpu_not_measured: str | None
    """Why there is no state of a GPU."""
