"""Check that no other load disturbed the machine, and that its speed was constant.

If a machine does not report a value, the check passes without it, and its sentence says why. The
checks of drift and jitter use the rows, so they show disturbances that are missed here.
"""

from collections.abc import Sequence

from m1.errors import UserError
from m1.params import ValidityParams
from m1.profiling.checks.check import at_most, not_measured
from m1.schemas.profile import Check, GpuState, MachineState, Span


def check_machine(seen: MachineState, limits: ValidityParams) -> tuple[Check, ...]:
    """All checks of CPU and GPU."""
    gpu = seen.gpu
    return (
        _check("neighbours", seen.cpu_others_share, limits.cpu_busy,
               "share of CPU time that other processes took",
               "load by other processes was not measured"),
        _check("cpu_frequency", _spread(seen.cpu_mhz), limits.cpu_frequency,
               f"spread of the CPU's clock{_around(seen.cpu_mhz)}",
               "this system does not report the CPU's clock"),
        _check("gpu_neighbours", gpu.other_processes if gpu else None, limits.gpu_neighbours,
               "other processes on the GPU", _why("other processes on the GPU", seen), "g"),
        _check("throttling", gpu.slowed_share if gpu else None, limits.throttling,
               f"share of looks at which the GPU was slowed down{_reasons(gpu)}",
               _why("throttling", seen)),
        _check("clocks", _spread(gpu.sm_mhz) if gpu else None, limits.clocks,
               f"spread of the GPU's clock at work{_around(gpu.sm_mhz if gpu else None)}",
               _why("the GPU's clock", seen)),
    )  # fmt: skip


def refuse_mixed_devices(devices: Sequence[str]) -> None:
    """Refuse a model that is spread over several devices: copies between them belong to no stage.

    Raises:
        UserError: if the weights are on several devices.
    """
    if len(devices) > 1:
        places = ", ".join(devices)
        raise UserError(
            f"model.device: the weights are on {places}; a run measures one device, so choose "
            "a model that fits on one"
        )


def _check(
    name: str, value: float | None, threshold: float, sentence: str, missing: str, form: str = ".2%"
) -> Check:
    if value is None:
        return not_measured(name, threshold, missing, passed=True)
    return at_most(name, float(value), float(threshold), sentence, form)


def _spread(span: Span | None) -> float | None:
    return span.spread if span else None


def _around(span: Span | None) -> str:
    if span is None:
        return ""
    return f" ({span.low:.0f} to {span.high:.0f} MHz, median {span.median:.0f})"


def _reasons(gpu: GpuState | None) -> str:
    """The reasons that limited the clocks, harmless ones included; empty if there were none."""
    names = ", ".join(gpu.clock_reasons) if gpu else ""
    return f" (reasons seen: {names})" if names else ""


def _why(what: str, seen: MachineState) -> str:
    return f"{what} not measured: {seen.gpu_not_measured or 'this GPU does not report it'}"
