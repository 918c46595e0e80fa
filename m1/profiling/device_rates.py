"""What a device can do, measured: the ceilings that stages are compared with."""

from collections.abc import Callable
from statistics import median

import torch

from m1.profiling.clocks import Stopwatch
from m1.schemas.profile import DeviceRates

BYTES_PER_MIB = 1024**2
# Large enough to go past caches and launches, small enough to be quick.
COPY_MIB = {"cuda": 2048, "cpu": 256}
MATRIX_SIDE = {"cuda": 8192, "cpu": 1024}
N_REPEATS = 4
# One of them may be interrupted.
N_ROUNDS = 3
MS_PER_S = 1e3


def measure_rates(device: torch.device, dtype: torch.dtype) -> DeviceRates:
    """Measure the bandwidth of memory and the rate of matrix products."""
    return DeviceRates(
        copy_gb_per_s=copy_gb_per_s(device), matrix_tflop_per_s=matrix_tflop_per_s(device, dtype)
    )


def copy_gb_per_s(device: torch.device) -> float:
    """Bandwidth of a copy within the device's memory: bytes read and bytes written both count."""
    n_bytes = COPY_MIB[device.type] * BYTES_PER_MIB
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / typical_ms(lambda: target.copy_(source), device) * MS_PER_S / 1e9


def matrix_tflop_per_s(device: torch.device, dtype: torch.dtype) -> float:
    """Rate of a product of square matrices, random since zeros take less power and run faster."""
    side = MATRIX_SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / typical_ms(lambda: left @ right, device) * MS_PER_S / 1e12


@torch.inference_mode()
def typical_ms(operation: Callable[[], object], device: torch.device) -> float:
    """Time of an operation that is repeated without a pause, after a first time.

    The mean of a round, and of several rounds the median.
    """
    operation()
    return median(_round_ms(operation, device) for _ in range(N_ROUNDS))


def _round_ms(operation: Callable[[], object], device: torch.device) -> float:
    stopwatch = Stopwatch(device)
    for _ in range(N_REPEATS):
        operation()
    return stopwatch.stop().ms / N_REPEATS
