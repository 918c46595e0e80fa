"""Every check passes on a quiet run, and fires on the fault it is for."""

from collections.abc import Callable

import pytest
from simulated import World, simulate_rows

from m1.params import ValidityParams
from m1.profiling.validity import Circumstances, judge, pair_changes
from m1.schemas.profile import MachineState, MeasuredRequest, Span

Change = Callable[[MeasuredRequest], float | None]
Changes = dict[str, Change]
LIMITS = ValidityParams(
    closure=0.01,
    observer_effect=0.02,
    warmup_plateau=0.1,
    drift=0.1,
    cpu_busy=0.2,
    cpu_frequency=0.1,
    gpu_neighbours=0,
    throttling=0.0,
    clocks=0.05,
)


def around(warmup_change=0.01, devices=("cpu",), others=0.02, gpu=None) -> Circumstances:
    machine = MachineState(
        cpu_others_share=others,
        cpu_mhz=Span(low=2500, median=2600, high=2600, spread=0.02),
        gpu=gpu,
        gpu_not_measured=None if gpu else "no GPU in use",
    )
    return Circumstances(warmup_change, machine, devices)


QUIET = around()
WORLD = World(n_images=60, e1_requests=60, observer_requests=30, row_noise=0.005)


@pytest.fixture(scope="module")
def rows() -> list[MeasuredRequest]:
    return simulate_rows(3, WORLD)


def failed(rows, seen=QUIET) -> list[str]:
    return [check.name for check in judge(rows, seen, LIMITS).checks if not check.passed]


def altered(rows, chosen, **changes) -> list[MeasuredRequest]:
    return [
        row.model_copy(update={k: v(row) for k, v in changes.items()}) if chosen(row) else row
        for row in rows
    ]


def slowed(factor) -> Changes:
    parts = ("vision_ms", "projector_ms", "prefill_ms", "decode_ms", "total_ms")

    def slow(name) -> Change:
        return lambda row: None if getattr(row, name) is None else getattr(row, name) * factor

    return {name: slow(name) for name in parts}


def test_a_quiet_run_is_valid(rows) -> None:
    verdict = judge(rows, QUIET, LIMITS)
    assert (verdict.verdict, verdict.reasons) == ("valid", ())
    assert len(verdict.checks) == 12


def test_a_stage_that_does_not_close_is_found(rows) -> None:
    gap = altered(rows, lambda r: r.order == 7, total_ms=lambda r: r.total_ms * 1.05)
    assert failed(gap) == ["closure"]


def test_slow_marks_are_found(rows) -> None:
    slow = altered(rows, lambda r: r.experiment == "observer" and r.marked, **slowed(1.05))
    assert failed(slow) == ["observer_effect"]


def test_a_run_without_observer_pairs_says_so(rows) -> None:
    alone = [row for row in rows if row.experiment != "observer"]
    verdict = judge(alone, QUIET, LIMITS)
    assert any("observer effect not measured" in reason for reason in verdict.reasons)


def test_a_cold_start_is_found(rows) -> None:
    assert failed(rows, around(warmup_change=-0.3)) == ["warmup"]


def test_drift_is_found(rows) -> None:
    last = max(row.order for row in rows if row.workload == "qa" and row.experiment == "e1")
    late = altered(
        rows,
        lambda r: r.workload == "qa" and r.experiment == "e1" and r.order > last - 20,
        **slowed(1.3),
    )
    assert failed(late) == ["drift"]


def test_too_small_a_sample_is_found(rows) -> None:
    few = [row for row in rows if row.experiment != "e1" or row.order % 2]
    assert "samples" in failed(few)


@pytest.mark.parametrize(
    "observed", ["observed_vision_tokens", "observed_top_k", "observed_active_blocks"]
)
def test_a_knob_that_did_not_turn_is_found(rows, observed) -> None:
    asked = observed.removeprefix("observed_")
    stuck = altered(rows, lambda r: r.marked, **{observed: lambda r: getattr(r, asked) + 1})
    assert failed(stuck) == ["actuation"]


def test_a_noisy_neighbour_is_found(rows) -> None:
    assert failed(rows, around(others=0.6)) == ["neighbours"]


def test_mixed_devices_are_found(rows) -> None:
    assert failed(rows, around(devices=("cpu", "cuda:0"))) == ["devices"]


def test_reasons_are_sentences_with_value_and_limit(rows) -> None:
    (reason,) = judge(rows, around(others=0.6), LIMITS).reasons
    assert reason == "share of CPU time that other processes took: 60.00%, above 20.00%"


def test_pairs_compare_the_same_request(rows) -> None:
    assert len(pair_changes(rows)) == 60
