"""Whether a run may be believed: checks on its rows, each with a value and a threshold.

The functions take what was measured and nothing else, so recorded runs can be judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from m1.params import ValidityParams
from m1.profiling.checking import at_most
from m1.profiling.machine_checks import check_devices, check_machine
from m1.schemas.profile import Check, MachineState, MeasuredRequest, Validity
from m1.schemas.requests import WORKLOADS

# Enough for a 95th percentile at 95 % confidence: 1 - 0.95^59 > 0.95.
MIN_SAMPLES = 59


@dataclass(frozen=True)
class Circumstances:
    """What was seen beside the rows."""

    warmup_change: float
    """Relative change between the last two windows of warm-up."""
    machine: MachineState
    """What others did on the machine during the run, and how fast it was."""
    devices: tuple[str, ...]
    """Devices that hold the model's weights."""


def judge(rows: Sequence[MeasuredRequest], seen: Circumstances, limits: ValidityParams) -> Validity:
    """Apply every check."""
    checks = (
        check_closure(rows, limits.closure),
        check_observer_effect(rows, limits.observer_effect),
        check_warmup(seen, limits.warmup_plateau),
        check_drift(rows, limits.drift),
        check_samples(rows),
        check_actuation(rows),
        *check_machine(seen.machine, limits),
        check_devices(seen.devices),
    )
    reasons = tuple(check.detail for check in checks if not check.passed)
    return Validity(
        verdict="invalid" if reasons else "valid",
        reasons=reasons,
        checks=checks,
        machine=seen.machine,
    )


def closure_residual(row: MeasuredRequest) -> float:
    """Share of a marked request's total that its stages do not explain."""
    stages = (row.vision_ms, row.projector_ms, row.prefill_ms, row.decode_ms)
    return abs(row.total_ms - sum(ms or 0.0 for ms in stages)) / row.total_ms


def check_closure(rows: Sequence[MeasuredRequest], threshold: float) -> Check:
    """Stages sum to the total on every request."""
    worst = max((closure_residual(row) for row in rows if row.marked), default=1.0)
    return at_most("closure", worst, threshold, "largest share of a latency outside all stages")


def check_observer_effect(rows: Sequence[MeasuredRequest], threshold: float) -> Check:
    """Marks do not change latency: the median ratio of pairs measured side by side."""
    changes = pair_changes(rows)
    if not changes:
        return Check(
            name="observer_effect",
            value=None,
            threshold=threshold,
            passed=False,
            detail="observer effect not measured: no request ran with and without marks",
        )
    return at_most(
        "observer_effect",
        abs(median(changes)),
        threshold,
        f"median change of latency by the marks over {len(changes)} pairs",
    )


def pair_changes(rows: Sequence[MeasuredRequest]) -> list[float]:
    """Relative latency with marks against without, of each observer pair."""
    pairs = sorted(
        (row for row in rows if row.experiment == "observer"),
        key=lambda row: (row.workload, row.request_id, row.marked),
    )
    grouped = (list(g) for _, g in groupby(pairs, key=lambda r: (r.workload, r.request_id)))
    return [two[1].total_ms / two[0].total_ms - 1 for two in grouped if len(two) == 2]


def check_warmup(seen: Circumstances, threshold: float) -> Check:
    """Warm-up reached a plateau."""
    sentence = "change between the last two warm-up windows"
    return at_most("warmup", abs(seen.warmup_change), threshold, sentence)


def check_drift(rows: Sequence[MeasuredRequest], threshold: float) -> Check:
    """The machine was as fast at the end as at the start."""
    worst = max((abs(drift(rows, workload)) for workload in WORKLOADS), default=0.0)
    sentence = "change of time to first token, first against last third of the run"
    return at_most("drift", worst, threshold, sentence)


def drift(rows: Sequence[MeasuredRequest], workload: str) -> float:
    """Relative change of the median time to first token between first and last third of E1.

    Time to first token, because it depends least on what a request says.
    """
    mine = [row for row in rows if row.experiment == "e1" and row.workload == workload]
    times = [row.total_ms - (row.decode_ms or 0.0) for row in sorted(mine, key=lambda r: r.order)]
    third = len(times) // 3
    return median(times[-third:]) / median(times[:third]) - 1 if third else 0.0


def check_samples(rows: Sequence[MeasuredRequest]) -> Check:
    """E1 has enough requests for its 95th percentile."""
    counts = [sum(r.experiment == "e1" and r.workload == w for r in rows) for w in WORKLOADS]
    least = min(counts)
    return Check(
        name="samples",
        value=float(least),
        threshold=float(MIN_SAMPLES),
        passed=least >= MIN_SAMPLES,
        detail=f"E1 has {least} requests a workload at the least; a P95 takes {MIN_SAMPLES}",
    )


def check_actuation(rows: Sequence[MeasuredRequest]) -> Check:
    """What was observed is what was asked for, or the nearest that the model can do."""
    wrong = sum(not actuated(row) for row in rows)
    furthest = max((visual_deviation(row) for row in rows), default=0.0)
    detail = (
        f"{wrong} of {len(rows)} requests ran at another setting than was planned; "
        f"visual tokens planned within {furthest:.1%} of what was asked for"
    )
    return Check(
        name="actuation", value=float(wrong), threshold=0.0, passed=wrong == 0, detail=detail
    )


def actuated(row: MeasuredRequest) -> bool:
    """Whether a row's observations agree with its setting, as far as they were made."""
    planned_and_seen = (
        (row.planned_vision_tokens, row.observed_vision_tokens),
        (row.top_k, row.observed_top_k),
        (row.active_blocks, row.observed_active_blocks),
    )
    return all(planned == seen for planned, seen in planned_and_seen if None not in (planned, seen))


def visual_deviation(row: MeasuredRequest) -> float:
    """How far the nearest possible number of visual tokens is from the one asked for."""
    asked = row.vision_tokens or row.planned_vision_tokens
    return abs(row.planned_vision_tokens - asked) / asked if asked else 0.0
