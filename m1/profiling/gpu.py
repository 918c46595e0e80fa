"""What a GPU says of itself through NVML, the library behind `nvidia-smi`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

MW_PER_W = 1000
# Bits of NVML's reasons for the present clocks (nvmlClocksEventReasons).
REASONS = {
    0x01: "idle",
    0x02: "clock setting",
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal limit",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display setting",
}
# An idle GPU and settings of its owner are no events of the run.
HARMLESS = {"idle", "clock setting", "sync boost", "display setting"}


class NotMeasuredError(Exception):
    """Something cannot be read on this machine; says why."""


@dataclass(frozen=True)
class GpuSample:
    """One look at a GPU; `None` where it does not tell."""

    n_other_processes: int | None = None
    utilisation: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    reasons: frozenset[str] | None = None

    @property
    def at_work(self) -> bool:
        """Whether it computed just before, as far as it tells."""
        return self.utilisation is None or self.utilisation > 0

    @property
    def slowed(self) -> bool:
        """Whether heat, power or a fault held its clocks down."""
        return bool((self.reasons or frozenset()) - HARMLESS)


@dataclass(frozen=True)
class NvmlGpu:
    """One GPU, as NVML sees it."""

    nvml: Any
    """The module `pynvml`, or what stands for it."""
    handle: Any
    """NVML's name of the GPU."""

    def sample(self) -> GpuSample:
        """Look once; takes some milliseconds at the most and touches no stream."""
        nvml, read = self.nvml, self._read
        percent = read(lambda gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
        milliwatts = read(nvml.nvmlDeviceGetPowerUsage)
        bits = read(nvml.nvmlDeviceGetCurrentClocksEventReasons)
        return GpuSample(
            n_other_processes=others(read(nvml.nvmlDeviceGetComputeRunningProcesses)),
            utilisation=None if percent is None else percent / 100,
            sm_mhz=read(lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
            memory_mhz=read(lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
            temperature_c=read(
                lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)
            ),
            power_w=None if milliwatts is None else milliwatts / MW_PER_W,
            reasons=None if bits is None else named(bits),
        )

    def _read(self, question: Callable[[Any], Any]) -> Any:  # noqa: ANN401 (NVML is not typed)
        """The answer, or nothing where this GPU or its driver has none."""
        try:
            return question(self.handle)
        except self.nvml.NVMLError:
            return None


def others(processes: list[Any] | None) -> int | None:
    """How many processes beside this one compute on the GPU.

    This process has a context there, so one of those listed is its own, under whatever number:
    a container shows numbers of the host. An empty list means that processes are hidden.
    """
    numbers = {process.pid for process in processes or ()}
    return len(numbers) - 1 if numbers else None


def named(bits: int) -> frozenset[str]:
    """The names of NVML's reasons."""
    return frozenset(name for bit, name in REASONS.items() if bits & bit)


def find_gpu(device: torch.device, nvml: Any | None = None) -> NvmlGpu:  # noqa: ANN401
    """Find the GPU that torch computes on.

    By its UUID, since the numbers of torch and NVML differ where some GPUs are hidden.

    Args:
        device: torch's device.
        nvml: what stands for `pynvml`, which is loaded where nothing is given.

    Raises:
        NotMeasuredError: if the device is no GPU, or NVML does not answer for it.
    """
    if device.type != "cuda":
        raise NotMeasuredError("no GPU in use")
    try:
        nvml = nvml or import_module("pynvml")
        nvml.nvmlInit()
    except Exception as error:  # whatever a broken driver raises, the run continues
        raise NotMeasuredError(f"NVML does not start ({error})") from None
    try:
        uuid = torch.cuda.get_device_properties(device).uuid
        return NvmlGpu(nvml, nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    except (AttributeError, nvml.NVMLError) as error:
        raise NotMeasuredError(f"NVML does not find the GPU ({error})") from None
