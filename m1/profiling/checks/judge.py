"""Decide whether a run is valid, by checks that each have a value and a threshold.

The checks use only what was recorded, so recorded runs can be judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from m1.params import ValidityParams
from m1.profiling.checks.check import at_most
from m1.profiling.checks.machine import check_machine
from m1.profiling.checks.observer import check_observer
from m1.profiling.checks.rows import (
    check_actuation,
    check_closure,
    check_cut_outputs,
    check_samples,
)
from m1.profiling.checks.speed import check_speed
from m1.profiling.facts.runtime_comparison import check_runtime
from m1.profiling.interruptions import check_interruptions
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
    """What was seen besides the rows."""

    warmup: WarmUp
    """How warm-up ended."""
    machine: MachineState
    """The load by other processes during the run, and the clocks of the machine."""
    interruptions: tuple[Interruption, ...] | None = None
    """Measurements that were interrupted; `None` if that was not recorded."""


def judge(
    rows: Sequence[MeasuredRequest],
    seen: Circumstances,
    limits: ValidityParams,
    agreement: RuntimeAgreement | None = None,
) -> Validity:
    """Apply every check.

    Args:
        rows: the measured requests.
        seen: what was seen besides the rows.
        limits: the thresholds.
        agreement: agreement of compiled and eager runtime, if the model was compiled.
    """
    checks = (
        *check_closure(rows, limits),
        *check_observer(rows, limits),
        _check_warmup(seen.warmup, limits.warmup_plateau),
        *check_speed(rows, limits),
        *check_samples(rows, limits),
        check_actuation(rows),
        check_cut_outputs(rows, limits.cut_outputs),
        *check_interruptions(seen.interruptions, len(rows), limits),
        *check_machine(seen.machine, limits),
        *check_runtime(agreement, limits.runtime_difference),
    )
    return Validity.of(checks, seen.machine)


def _check_warmup(seen: WarmUp, threshold: float) -> Check:
    """Check that warm-up reached a plateau."""
    sentence = f"change between the last two of {seen.n_windows} warm-up windows"
    return at_most("warmup", abs(seen.change), threshold, sentence)
