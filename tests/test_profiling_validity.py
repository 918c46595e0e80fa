"""Every check passes on a quiet run, and fires on the fault it is for."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from simulated import World, simulate_rows
from whole_run import ROOT

from m1.errors import UserError
from m1.params import load_params
from m1.profiling.cell import Cell
from m1.profiling.checks.judge import Circumstances, judge
from m1.profiling.checks.machine import refuse_mixed_devices
from m1.profiling.checks.observer import observer_effect
from m1.profiling.warmup import WarmUp
from m1.schemas.profile import MachineState, MeasuredRequest, Span

Change = Callable[[MeasuredRequest], float | None]
Changes = dict[str, Change]
LIMITS = load_params(ROOT / "params.yaml").validity
WORLD = World(
    n_images=60,
    e1_requests=60,
    e2_requests=20,
    observer_requests=30,
    anchor_requests=3,
    stage_noise=0.005,
)


def around(warmup_change=0.01, others=0.02, gpu=None) -> Circumstances:
    machine = MachineState(
        cpu_others_share=others,
        cpu_mhz=Span(low=2500, median=2600, high=2600, spread=0.02),
        gpu=gpu,
        gpu_not_measured=None if gpu else "no GPU in use",
    )
    return Circumstances(WarmUp(warmup_change, n_windows=2), machine, ())


QUIET = around()


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


def value(rows, name) -> float | None:
    return next(c.value for c in judge(rows, QUIET, LIMITS).checks if c.name == name)


def in_e1(workload, start, stop) -> Callable[[MeasuredRequest], bool]:
    """Whether a row is of these places of a workload's E1, as shares of its length."""

    def chosen(row) -> bool:
        # E1 comes first of each workload's rows.
        place = int(row.request_id.split("-")[1]) / WORLD.e1_requests
        return row.experiment == "e1" and row.workload == workload and start <= place < stop

    return chosen


def test_a_quiet_run_is_valid(rows) -> None:
    verdict = judge(rows, QUIET, LIMITS)
    assert (verdict.verdict, verdict.reasons) == ("valid", ())
    names = [check.name for check in verdict.checks]
    assert len(names) == len(set(names)) == 22


def test_every_check_has_a_value_or_says_why_not(rows) -> None:
    without = {c.name: c.detail for c in judge(rows, QUIET, LIMITS).checks if c.value is None}
    assert set(without) == {"gpu_neighbours", "throttling", "clocks"}
    assert all("no GPU in use" in detail for detail in without.values())


# Outputs


def cut(rows, workload, share, **changes) -> list[MeasuredRequest]:
    return altered(rows, in_e1(workload, 0, share), finish_reason=lambda _: "length", **changes)


def test_a_workload_whose_outputs_are_mostly_cut_is_found_with_a_hint(rows) -> None:
    assert failed(cut(rows, "captioning", 0.5)) == []
    assert failed(cut(rows, "captioning", 0.6)) == ["cut_outputs"]
    assert value(cut(rows, "qa", 1), "cut_outputs") == 1
    (reason,) = judge(cut(rows, "qa", 1), QUIET, LIMITS).reasons
    assert "(qa 100%, captioning 0%): 100.00%, above 50.00%; raise profile.max_new_tok" in reason


def test_outputs_of_fixed_length_are_not_cut(rows) -> None:
    fixed = altered(rows, lambda _: True, decode_mode=lambda _: "reference_length")
    assert failed(cut(fixed, "qa", 1)) == []
    assert value(cut(fixed, "qa", 1), "cut_outputs") is None


# Closure


def test_one_interruption_in_a_thousand_requests_is_no_reason(rows) -> None:
    gap = altered(rows, lambda r: r.order == 7, total_ms=lambda r: r.total_ms * 1.5)
    assert failed(gap) == []
    (detail,) = [c.detail for c in judge(gap, QUIET, LIMITS).checks if c.name == "closure"]
    assert "worst of all 33.33%" in detail


def test_a_stage_that_does_not_close_on_a_few_requests_is_found(rows) -> None:
    gap = altered(rows, lambda r: r.order % 40 == 0, total_ms=lambda r: r.total_ms * 1.05)
    assert failed(gap) == ["closure_exceptions"]
    assert value(gap, "closure_exceptions") == pytest.approx(1 / 40, rel=0.1)


def test_a_stage_that_does_not_close_at_one_setting_is_found(rows) -> None:
    def chosen(row) -> bool:
        settings = row.vision_tokens, row.top_k, row.active_blocks
        return (row.experiment, row.workload, *settings) == ("e2", "qa", 36, 2, 4)

    gap = altered(rows, chosen, prefill_ms=lambda r: r.prefill_ms * 0.9)
    assert "closure" in failed(gap)


# Observer effect


def test_slow_marks_are_found(rows) -> None:
    slow = altered(rows, lambda r: r.experiment == "observer" and r.marked, **slowed(1.05))
    assert failed(slow) == ["observer_effect"]


def test_marks_that_slow_one_workload_are_found(rows) -> None:
    def chosen(row) -> bool:
        return row.experiment == "observer" and row.marked and row.workload == "captioning"

    assert failed(altered(rows, chosen, **slowed(1.05))) == ["observer_effect"]


def noisy(rows, spread) -> list[MeasuredRequest]:
    """The rows with one in two observer rows slower and one in two faster."""
    rng = np.random.default_rng(4)
    return [
        row.model_copy(update={"total_ms": row.total_ms * float(np.exp(spread * rng.normal()))})
        if row.experiment == "observer" and not row.marked
        else row
        for row in rows
    ]


def test_noise_that_could_hide_an_effect_is_found_and_is_not_called_an_effect(rows) -> None:
    assert failed(noisy(rows, 0.2)) == ["observer_resolution"]


def test_some_noise_is_no_reason(rows) -> None:
    assert failed(noisy(rows, 0.04)) == []


def test_few_pairs_are_not_enough_however_quiet(rows) -> None:
    few = [row for row in rows if row.experiment != "observer" or "-000" in row.image_id]
    assert failed(few) == ["observer_images"]


def test_a_run_without_observer_pairs_says_so(rows) -> None:
    alone = [row for row in rows if row.experiment != "observer"]
    verdict = judge(alone, QUIET, LIMITS)
    assert any("observer effect not measured" in reason for reason in verdict.reasons)


def test_pairs_compare_the_same_request(rows) -> None:
    slow = altered(rows, lambda r: r.experiment == "observer" and r.marked, **slowed(1.25))
    effect = observer_effect(slow, "qa")
    assert effect is not None
    assert effect.n_pairs == effect.n_images == 30
    assert effect.low < effect.change < effect.high
    assert effect.change == pytest.approx(0.25, abs=0.01)


# Pace


def test_a_cold_start_is_found(rows) -> None:
    assert failed(rows, around(warmup_change=-0.3)) == ["warmup"]


@pytest.mark.parametrize("where", [(0, 0.34), (0.34, 0.67), (0.67, 1)])
@pytest.mark.parametrize("workload", ["qa", "captioning"])
def test_drift_is_found_at_both_ends_and_in_the_middle(rows, workload, where) -> None:
    drifted = altered(rows, in_e1(workload, *where), **slowed(1.3))
    assert failed(drifted) == ["drift", "steady_drift"]


def test_drift_of_decode_alone_is_found(rows) -> None:
    late = in_e1("captioning", 0.5, 1)
    slow = altered(
        rows,
        late,
        decode_ms=lambda r: r.decode_ms * 1.2,
        total_ms=lambda r: r.total_ms + r.decode_ms * 0.2,
    )
    assert failed(slow) == ["drift", "steady_drift"]


def test_a_machine_that_varies_at_the_same_request_is_found(rows) -> None:
    every_other = altered(rows, lambda r: r.experiment == "anchor" and r.order % 2, **slowed(1.4))
    assert failed(every_other) == ["jitter", "steady_jitter"]


def test_jitter_is_apart_from_the_variation_between_requests() -> None:
    same = simulate_rows(3, WORLD)
    apart = simulate_rows(3, replace(WORLD, image_spread=0.5))
    assert value(apart, "jitter") == pytest.approx(value(same, "jitter"), rel=0.2)
    assert value(same, "jitter") == pytest.approx(0.005, rel=0.5)


def test_without_anchors_jitter_is_not_measured_and_the_run_is_invalid(rows) -> None:
    assert failed([row for row in rows if row.experiment != "anchor"]) == [
        "jitter",
        "steady_jitter",
    ]


# What a changing speed spoils


def in_order_of_trials(rows) -> list[MeasuredRequest]:
    by_trial = sorted(rows, key=lambda row: row.trial)
    return [row.model_copy(update={"order": order}) for order, row in enumerate(by_trial)]


def at_speed(rows, factor_of_trial, *stages) -> list[MeasuredRequest]:
    """The rows with some stages slower, in every trial by its own factor."""

    def slower(row) -> MeasuredRequest:
        if not row.marked:
            return row.model_copy(update={"total_ms": row.total_ms * factor_of_trial(row.trial)})
        times = {stage: getattr(row, stage) * factor_of_trial(row.trial) for stage in stages}
        added = sum(times[stage] - getattr(row, stage) for stage in stages)
        return row.model_copy(update=times | {"total_ms": row.total_ms + added})

    return [slower(row) for row in rows]


ALL_STAGES = ("vision_ms", "projector_ms", "prefill_ms", "decode_ms")
LATE = WORLD.n_trials - WORLD.n_trials // 3


@pytest.mark.parametrize("stages", [ALL_STAGES, ("decode_ms",)])
def test_a_machine_that_becomes_slower_everywhere_spoils_only_milliseconds(rows, stages) -> None:
    late = at_speed(in_order_of_trials(rows), lambda trial: 1 + 0.3 * (trial >= LATE), *stages)
    assert failed(late) == ["drift"]
    verdict = judge(late, QUIET, LIMITS)
    assert verdict.verdict == "valid for ratios"
    assert verdict.in_short == "valid for ratios: drift"
    assert verdict.spoils_milliseconds


def test_a_speed_that_goes_up_and_down_slowly_spoils_only_milliseconds(rows) -> None:
    def swing(trial) -> float:
        return 1 + 0.3 * float(np.sin(2 * np.pi * trial / WORLD.n_trials * 3))

    swinging = at_speed(in_order_of_trials(rows), swing, *ALL_STAGES)
    assert failed(swinging) == ["jitter"]
    assert judge(swinging, QUIET, LIMITS).verdict == "valid for ratios"


@pytest.mark.parametrize("workload", ["qa", "captioning"])
@pytest.mark.parametrize("at", [0, 13, 26])
def test_a_slow_spell_in_one_cell_spoils_everything(rows, workload, at) -> None:
    def in_spell(row) -> bool:
        alike = row.experiment == "e2" and row.workload == workload and row.trial >= LATE
        return alike and Cell.of(row).setting == WORLD.grid[at]

    spell = altered(in_order_of_trials(rows), in_spell, **slowed(1.3))
    assert failed(spell) == ["cell_spells"]
    verdict = judge(spell, QUIET, LIMITS)
    assert verdict.verdict == "invalid"
    assert f"{workload} {WORLD.grid[at].label}" in verdict.reasons[0]


def test_noise_alone_is_no_slow_spell_of_a_cell() -> None:
    world = replace(WORLD, stage_noise=0.08)
    spells = [
        check
        for seed in range(5)
        for check in judge(in_order_of_trials(simulate_rows(seed, world)), QUIET, LIMITS).checks
        if check.name == "cell_spells"
    ]
    assert [check.value for check in spells] == [0.0] * 5


def test_one_slow_request_is_no_slow_spell(rows) -> None:
    once = altered(in_order_of_trials(rows), lambda row: row.order == 500, **slowed(5))
    assert failed(once) == []


def test_a_spoiled_ratio_outweighs_spoiled_milliseconds(rows) -> None:
    late = at_speed(in_order_of_trials(rows), lambda trial: 1 + 0.3 * (trial >= LATE), *ALL_STAGES)
    verdict = judge(late, around(others=0.6), LIMITS)
    assert verdict.verdict == "invalid"
    assert [check.name for check in verdict.checks if not check.passed] == ["drift", "neighbours"]


# Samples and knobs


@pytest.mark.parametrize("experiment", ["e1", "e2"])
@pytest.mark.parametrize("workload", ["qa", "captioning"])
def test_too_small_a_sample_is_found(rows, experiment, workload) -> None:
    few = [
        row
        for row in rows
        if (row.experiment, row.workload) != (experiment, workload) or "-000" in row.image_id
    ]
    assert failed(few) == [f"{experiment}_requests"]


def test_a_workload_without_rows_counts_as_none(rows) -> None:
    qa = [row for row in rows if row.workload == "qa"]
    assert (value(qa, "e1_requests"), value(qa, "e2_requests")) == (0, 0)
    assert value([], "e1_requests") == 0


@pytest.mark.parametrize(
    "observed", ["observed_vision_tokens", "observed_top_k", "observed_active_blocks"]
)
def test_a_knob_that_did_not_turn_is_found(rows, observed) -> None:
    asked = observed.removeprefix("observed_")
    stuck = altered(
        rows,
        lambda r: r.marked and r.experiment != "anchor",
        **{observed: lambda r: getattr(r, asked) + 1},
    )
    assert failed(stuck) == ["actuation"]


@pytest.mark.parametrize("observed", ["observed_top_k", "observed_active_blocks"])
def test_an_anchor_at_which_a_knob_is_still_turned_is_found(rows, observed) -> None:
    def late(row) -> bool:
        return row.experiment == "anchor" and row.trial > 5

    assert failed(altered(rows, late, **{observed: lambda _: 2})) == ["actuation"]


# The machine


def test_a_noisy_neighbour_is_found(rows) -> None:
    assert failed(rows, around(others=0.6)) == ["neighbours"]


def test_a_clock_that_goes_up_and_down_is_found(rows) -> None:
    clock = Span(low=1200, median=2400, high=3000, spread=0.5)
    machine = QUIET.machine.model_copy(update={"cpu_mhz": clock})
    assert failed(rows, replace(QUIET, machine=machine)) == ["cpu_frequency"]


def test_mixed_devices_are_refused_before_anything_is_measured() -> None:
    refuse_mixed_devices(("cuda:0",))
    with pytest.raises(UserError, match="the weights are on cpu, cuda:0; a run measures one"):
        refuse_mixed_devices(("cpu", "cuda:0"))


def test_reasons_are_sentences_with_value_and_limit(rows) -> None:
    (reason,) = judge(rows, around(others=0.6), LIMITS).reasons
    assert reason == "share of CPU time that other processes took: 60.00%, above 20.00%"


def test_a_request_measured_in_both_decode_modes_is_one_sample() -> None:
    twice = simulate_rows(3, replace(WORLD, e1_requests=40, decode_mode="both"))
    samples = next(c for c in judge(twice, QUIET, LIMITS).checks if c.name == "e1_requests")
    assert (samples.value, samples.passed) == (40, False)


def test_longer_outputs_late_in_a_run_are_no_drift(rows) -> None:
    def longer(row) -> bool:
        return in_e1("captioning", 2 / 3, 1)(row) and row.decode_ms is not None

    def n_longer(row) -> int:
        return 2 * (row.n_output_tokens - 1) + 1

    late = altered(
        rows,
        longer,
        decode_ms=lambda r: 2 * r.decode_ms,
        total_ms=lambda r: r.total_ms + r.decode_ms,
        n_output_tokens=n_longer,
    )
    assert value(late, "drift") == value(rows, "drift")
    assert "drift" not in failed(late)


def test_the_furthest_number_of_visual_tokens_is_told(rows) -> None:
    off = {rows[3].order: 100, rows[4].order: 130}
    planned = altered(
        rows,
        lambda row: row.order in off,
        vision_tokens=lambda row: 144,
        planned_vision_tokens=lambda row: off[row.order],
        observed_vision_tokens=lambda row: off[row.order],
    )
    (check,) = (c for c in judge(planned, QUIET, LIMITS).checks if c.name == "actuation")
    assert "planned within 30.6% of what was asked for" in check.detail


def test_a_run_that_is_too_small_to_show_its_speed_is_invalid(rows) -> None:
    tiny = [row for row in rows if row.experiment != "e1" or row.image_id < "image-0008"]
    told = {c.name: c.detail for c in judge(tiny, QUIET, LIMITS).checks if not c.passed}
    assert "too few requests" in told["drift"]
    assert "too few requests" in told["steady_drift"]


@pytest.mark.parametrize(("n_trials", "measured"), [(8, False), (9, True)])
def test_slow_spells_take_three_trials_in_a_third(n_trials, measured) -> None:
    few = simulate_rows(3, replace(WORLD, n_trials=n_trials))
    assert (value(few, "cell_spells") is not None) == measured
    assert ("cell_spells" in failed(few)) != measured
