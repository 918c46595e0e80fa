"""Measure the device's rates. They are the limits that stages are compared with."""

import math
from collections.abc import Callable
from statistics import median

import torch

from m1.errors import UserError
from m1.profiling.timing.clocks import Stopwatch
from m1.schemas.profile import DeviceRates

BYTES_PER_MIB = 1024**2
# Large enough to go past caches and launches, small enough to be quick.
COPY_MIB = {"cuda": 2048, "cpu": 256}
MATRIX_SIDE = {"cuda": 8192, "cpu": 1024}
# The smallest sizes, for a GPU where a large model leaves little room. Caches of GPUs have up to
# about 100 MiB; a copy of 256 MiB moves five times as much.
LEAST_COPY_MIB = 256
LEAST_MATRIX_SIDE = 4096
# A copy needs a source and a target. A product needs two factors and the result, and one factor
# also in float32, as it was drawn.
N_COPY_PARTS = 2
MATRIX_BYTES_PER_ENTRY = 16
# The rest is needed for workspaces of libraries, or lost to fragmentation.
USABLE = 0.9
N_REPEATS = 4
# The median stays correct if one round is interrupted.
N_ROUNDS = 3
MS_PER_S = 1e3


def measure_rates(device: torch.device, dtype: torch.dtype) -> DeviceRates:
    """Measure the bandwidth of memory and the rate of matrix products.

    Raises:
        UserError: if the device has no room for either beside the model.
    """
    return DeviceRates(
        copy_gb_per_s=copy_gb_per_s(device), matrix_tflop_per_s=matrix_tflop_per_s(device, dtype)
    )


def copy_gb_per_s(device: torch.device) -> float:
    """Bandwidth of a copy within the device's memory: bytes read and bytes written both count."""
    n_bytes = copy_mib(device.type, free_bytes(device)) * BYTES_PER_MIB
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / _typical_ms(lambda: target.copy_(source), device) * MS_PER_S / 1e9


def matrix_tflop_per_s(device: torch.device, dtype: torch.dtype) -> float:
    """Rate of a product of square matrices. They are random, since zeros would run faster."""
    side = matrix_side(device.type, free_bytes(device))
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _typical_ms(lambda: left @ right, device) * MS_PER_S / 1e12


def free_bytes(device: torch.device) -> float:
    """The usable part of a GPU's free memory; infinite for a CPU, where it is not checked."""
    if device.type != "cuda":
        return math.inf
    torch.cuda.empty_cache()
    return USABLE * torch.cuda.mem_get_info(device)[0]


def copy_mib(device_type: str, free: float) -> int:
    """The size of the copy. The usual size is halved until source and target fit.

    Raises:
        UserError: if even the smallest useful size does not fit.
    """
    mib = COPY_MIB[device_type]
    while N_COPY_PARTS * mib * BYTES_PER_MIB > free:
        mib //= 2
        if mib < LEAST_COPY_MIB:
            raise _no_room(free, N_COPY_PARTS * LEAST_COPY_MIB * BYTES_PER_MIB)
    return mib


def matrix_side(device_type: str, free: float) -> int:
    """The side of the matrices. The usual side is halved until all matrices fit.

    Raises:
        UserError: if even the smallest useful side does not fit.
    """
    side = MATRIX_SIDE[device_type]
    while MATRIX_BYTES_PER_ENTRY * side**2 > free:
        side //= 2
        if side < LEAST_MATRIX_SIDE:
            raise _no_room(free, MATRIX_BYTES_PER_ENTRY * LEAST_MATRIX_SIDE**2)
    return side


def _no_room(free: float, needed: int) -> UserError:
    return UserError(
        f"the GPU has {free / BYTES_PER_MIB:.0f} MiB left beside the model, measuring its rates "
        f"takes {needed / BYTES_PER_MIB:.0f} MiB: take a smaller dtype or model, or a larger GPU"
    )


@torch.inference_mode()
def _typical_ms(operation: Callable[[], object], device: torch.device) -> float:
    """Time of an operation that is repeated without a pause, after a first run.

    It is the mean within a round, and the median over several rounds.
    """
    operation()
    return median(_round_ms(operation, device) for _ in range(N_ROUNDS))


def _round_ms(operation: Callable[[], object], device: torch.device) -> float:
    stopwatch = Stopwatch(device)
    for _ in range(N_REPEATS):
        operation()
    return stopwatch.stop().ms / N_REPEATS
