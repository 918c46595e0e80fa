"""Whether a run may be believed: checks on what was measured, each with a value and a threshold.

They take what was measured and nothing else, so recorded runs can be judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from m1.params import ValidityParams
from m1.profiling.checking import at_most
from m1.profiling.interruptions import check_interruptions
from m1.profiling.machine_checks import check_devices, check_machine
from m1.profiling.observer import check_observer
from m1.profiling.row_checks import (
    check_actuation,
    check_closure,
    check_cut_outputs,
    check_drift,
    check_jitter,
    check_samples,
)
from m1.profiling.runtime_agreement import check_runtime
from m1.profiling.warmup import WarmUp
from m1.schemas.profile import (
    Check,
    Interruption,
    MachineState,
    MeasuredRequest,
    RuntimeAgreement,
    Validity,
)


@dataclass(frozen=True)
class Circumstances:
    """What was seen beside the rows."""

    warmup: WarmUp
    """How warm-up ended."""
    machine: MachineState
    """What others did on the machine during the run, and how fast it was."""
    devices: tuple[str, ...]
    """Devices that hold the model's weights."""
    interruptions: tuple[Interruption, ...] | None = None
    """Measurements that were interrupted; none where that was not recorded."""


def judge(
    rows: Sequence[MeasuredRequest],
    seen: Circumstances,
    limits: ValidityParams,
    agreement: RuntimeAgreement | None = None,
) -> Validity:
    """Apply every check.

    Args:
        rows: what was measured.
        seen: what was seen beside it.
        limits: the thresholds.
        agreement: of the compiled runtime with the eager one, where it was compiled.
    """
    checks = (
        *check_closure(rows, limits),
        *check_observer(rows, limits),
        check_warmup(seen.warmup, limits.warmup_plateau),
        check_drift(rows, limits.drift),
        check_jitter(rows, limits.jitter),
        *check_samples(rows, limits),
        check_actuation(rows),
        check_cut_outputs(rows, limits.cut_outputs),
        *check_interruptions(seen.interruptions, len(rows), limits),
        *check_machine(seen.machine, limits),
        check_devices(seen.devices),
        *check_runtime(agreement, limits.runtime_difference),
    )
    reasons = tuple(check.detail for check in checks if not check.passed)
    return Validity(
        verdict="invalid" if reasons else "valid",
        reasons=reasons,
        checks=checks,
        machine=seen.machine,
    )


def check_warmup(seen: WarmUp, threshold: float) -> Check:
    """Warm-up reached a plateau."""
    sentence = f"change between the last two of {seen.n_windows} warm-up windows"
    return at_most("warmup", abs(seen.change), threshold, sentence)
