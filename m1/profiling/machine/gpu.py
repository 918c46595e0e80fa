"""The state of a GPU as NVML reports it, the library behind `nvidia-smi`."""

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
# An idle GPU and settings of its owner do not disturb the run.
HARMLESS = {"idle", "clock setting", "sync boost", "display setting"}


class NotMeasuredError(Exception):
    """Something cannot be read on this machine. The message says why."""


@dataclass(frozen=True)
class GpuSample:
    """One look at a GPU; `None` for values that it does not report."""

    n_other_processes: int | None = None
    utilisation: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    reasons: frozenset[str] | None = None

    @property
    def at_work(self) -> bool:
        """Whether the GPU computed just before; true if it does not report this."""
        return self.utilisation is None or self.utilisation > 0

    @property
    def slowed(self) -> bool:
        """Whether heat, power or a fault lowered its clocks."""
        return bool((self.reasons or frozenset()) - HARMLESS)


@dataclass(frozen=True)
class NvmlGpu:
    """One GPU, as NVML sees it."""

    nvml: Any
    """The module `pynvml`, or a replacement in tests."""
    handle: Any
    """NVML's name of the GPU."""

    def sample(self) -> GpuSample:
        """Look once. This takes at most a few milliseconds and uses no stream."""
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
        """The answer, or `None` if this GPU or its driver has no answer."""
        try:
            return question(self.handle)
        except self.nvml.NVMLError:
            return None


def others(processes: list[Any] | None) -> int | None:
    """The number of other processes that compute on the GPU.

    This process computes there too, so it is one of the listed processes. Its number may differ,
    since a container lists the numbers of the host. An empty list means that processes are hidden.
    """
    numbers = {process.pid for process in processes or ()}
    return len(numbers) - 1 if numbers else None


def named(bits: int) -> frozenset[str]:
    """The names of NVML's reasons."""
    return frozenset(name for bit, name in REASONS.items() if bits & bit)


def find_gpu(device: torch.device, nvml: Any | None = None) -> NvmlGpu:  # noqa: ANN401
    """Find the GPU that torch computes on.

    It is found by its UUID: the numbers of torch and NVML differ if some GPUs are hidden.

    Args:
        device: torch's device.
        nvml: a replacement for `pynvml`; by default, `pynvml` is loaded.

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
