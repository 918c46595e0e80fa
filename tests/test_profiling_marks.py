"""Stage times from marks, and marks on the real model."""

import pytest
import torch

from m1.errors import UserError
from m1.profiling.facts.work import count_work
from m1.profiling.timing import clocks
from m1.profiling.timing.clocks import CpuClock, clock_for
from m1.profiling.timing.marks import by_stage, mark_first_token, marked
from m1.profiling.timing.request import timed_alone, timed_with_marks
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs.apply import applied
from m1.workloads.scene_language import CAPTION_PROMPT

NAMES = {"v": "vision_end", "p": "projector_start", "q": "projector_end"}
NAMES |= {"s": "start", "f": "first_token", "l": "last_token"}


def stages(marks: str) -> dict[str, float]:
    """Stages of recorded marks, each written as its letter and its reading."""
    taken = [(NAMES[mark[0]], float(mark[1:])) for mark in marks.split()]
    return by_stage(taken, "SomeVlm")


def parts(vision: float, projector: float, prefill: float, decode: float) -> dict[str, float]:
    return {"vision": vision, "projector": projector, "prefill": prefill, "decode": decode}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ("s0 v5 p5.5 q6 f26 l100", parts(5, 1, 20, 74)),
        # The projector inside the tower.
        ("s0 p2 q3 p6 q8 v8.5 f20 l20", parts(5.5, 3, 11.5, 0)),
        # Called again in decode, as Gemma 3n does for each token, and once the tower, too.
        ("s0 v5 p5 q6 f26 p30 q31 v35 p50 q52 l100", parts(5, 1, 20, 74)),
        # Once before the tower.
        ("s0 p1 q2 v5 p6 q8 f20 l30", parts(4, 4, 12, 10)),
        # The tower twice, each time with the projector.
        ("s0 v3 p3 q4 v7 p7 q8 f20 l30", parts(6, 2, 12, 10)),
        # A projector within a projector.
        ("s0 v4 p4 p5 q6 q7 f20 l30", parts(4, 3, 13, 10)),
        ("s0 p1 p2 q3 q4 v5 f20 l30", parts(2, 3, 15, 10)),
        # The tower called by the projector.
        ("s0 p1 v4 q5 f20 l30", parts(1, 4, 15, 10)),
        # No projector at all.
        ("s0 v4 f20 l30", parts(4, 0, 16, 10)),
    ],
)
def test_stages_are_the_times_between_marks(marks, expected) -> None:
    assert stages(marks) == expected
    assert sum(expected.values()) == float(marks.rpartition("l")[2])


def test_a_request_that_never_calls_the_tower_is_an_error() -> None:
    for marks in ("s0 f20 l30", "s0 p1 q2 f20 v25 l30"):
        with pytest.raises(UserError, match=r"SomeVlm: its vision tower was not called before"):
            stages(marks)


@pytest.mark.parametrize(
    ("marks", "stage"), [("s0 v5 f20 l19", "decode"), ("s9 v5 f20 l30", "vision")]
)
def test_a_negative_stage_is_an_error_and_never_a_row(marks, stage) -> None:
    with pytest.raises(UserError, match=f"SomeVlm: its stage {stage} comes out negative") as error:
        stages(marks)
    assert "\n" not in str(error.value)


def test_rounding_makes_no_negative_stage() -> None:
    assert stages("s0 p0 q0.1 p0.1 q0.3 v0.3 f20 l30")["vision"] == 0


def test_what_a_projector_does_in_decode_is_neither_marked_nor_observed(vlm, held_out) -> None:
    (projector,) = vlm.structure.projectors
    width = next(projector.parameters()).shape[1]
    calls: list[int] = []

    def again(*_: object) -> None:
        calls.append(1)
        projector(torch.zeros(1, 3, width))

    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    clock = CpuClock()
    with marked(vlm.structure, clock) as observed:
        hook = vlm.structure.language_model.register_forward_hook(again)
        clock.mark("start")
        answer(vlm, inputs, 5, lambda: mark_first_token(clock, observed), stops_at_end=False)
        clock.mark("last_token")
        hook.remove()
    assert len(calls) == 5
    # That of the prompt counts, those of the four tokens after it do not.
    assert clock.names.count("projector_start") == 2
    assert observed.n_projected == 144 + 3
    assert min(by_stage(clock.marks_ms(), "SomeVlm").values()) > 0
    hook = vlm.structure.language_model.register_forward_hook(again)
    try:
        work = count_work(vlm, inputs)
    finally:
        hook.remove()
    alone = count_work(vlm, inputs)
    assert min(one.operations for one in work.values()) > 0
    assert work["decode"].operations > alone["decode"].operations
    assert work["vision"] == alone["vision"]


def test_a_clock_tells_times_since_its_first_mark(monkeypatch) -> None:
    readings_ns = iter([3_000_000, 4_500_000, 10_000_000])
    monkeypatch.setattr(clocks, "perf_counter_ns", lambda: next(readings_ns))
    clock = CpuClock()
    for name in ("start", "middle", "end"):
        clock.mark(name)
    assert clock.marks_ms() == [("start", 0.0), ("middle", 1.5), ("end", 7.0)]


def test_the_cpu_clock_runs_forward(vlm) -> None:
    clock = clock_for(vlm.device)
    assert isinstance(clock, CpuClock)
    for _ in range(3):
        clock.mark("tick")
    times = [time for _, time in clock.marks_ms()]
    assert times == sorted(times)
    assert times[0] == 0.0


def test_marks_come_in_the_order_of_the_stages(vlm, held_out) -> None:
    clock = CpuClock()
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    with marked(vlm.structure, clock):
        vlm.model(**inputs)
    assert clock.names == ["vision_end", "projector_start", "projector_end"]


def test_stages_of_a_real_request_are_positive_and_sum_to_its_total(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    residuals = []
    for _ in range(3):
        timed = timed_with_marks(vlm, inputs, 80)
        stages = timed.stages
        assert stages is not None
        assert all(part > 0 for part in stages.values())
        residuals.append(abs(1 - sum(stages.values()) / timed.elapsed.ms))
    # The best of three: another process may come between two readings of the clock.
    assert min(residuals) < 0.02


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        (Setting(vision_tokens=16, top_k=1, active_blocks=4), (16, 1)),
        (Setting(vision_tokens=144, top_k=4, active_blocks=8), (144, 4)),
    ],
)
def test_what_reached_the_language_model_is_observed(vlm, held_out, setting, seen) -> None:
    inputs = encode(vlm, held_out.images[0], "Is there a star?", setting.vision_tokens)
    with applied(vlm.structure, setting):
        observed = timed_with_marks(vlm, inputs, 5).observed
    assert observed is not None
    assert (observed.n_visual_tokens, observed.top_k) == seen


def test_no_hook_is_left_and_answers_are_the_same_without_marks(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    alone, hooks = timed_alone(vlm, inputs, 80), n_hooks(vlm.model)
    with_marks = timed_with_marks(vlm, inputs, 80)
    assert with_marks.generation.tokens == alone.generation.tokens
    assert n_hooks(vlm.model) == hooks


def n_hooks(model) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
