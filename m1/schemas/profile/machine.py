"""What was seen of the machine during a run."""

from m1.schemas.base import Record


class Span(Record):
    """Where the readings of something lie."""

    low: float
    """Lowest."""
    median: float
    """Median."""
    high: float
    """Highest."""
    spread: float
    """Width of the middle 90 % of the readings, as a share of the median."""


class GpuState(Record):
    """What NVML said of the GPU, in samples between requests; null where it does not tell."""

    n_samples: int
    """Samples, at most one a second."""
    n_samples_at_work: int
    """Those with utilisation: all spans are of these."""
    other_processes: int | None
    """Most other processes that computed on it at once; null where processes are hidden."""
    sm_mhz: Span | None
    """Clock of the multiprocessors."""
    memory_mhz: Span | None
    """Clock of the memory."""
    temperature_c: Span | None
    """Temperature."""
    power_w: Span | None
    """Power drawn."""
    slowed_share: float | None
    """Share of samples in which heat, power or a fault held its clocks down."""
    clock_reasons: dict[str, float]
    """Share of samples with each reason for the present clocks, harmless ones too."""


class MachineState(Record):
    """What was seen of the machine during a run."""

    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took."""
    cpu_mhz: Span | None
    """Clock of the core that the run was on, right after requests; null if not told."""
    gpu: GpuState | None
    """The GPU; null where none was used or NVML does not answer."""
    gpu_not_measured: str | None
    """Why there is nothing of a GPU."""
