"""Stage times from marks, and marks on the real model."""

import pytest

from m1.profiling import clocks
from m1.profiling.clocks import CpuClock, clock_for
from m1.profiling.marks import by_stage, marked
from m1.profiling.measure import timed_alone, timed_with_marks
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.knobs import applied
from m1.workloads.scene_language import CAPTION_PROMPT


def test_stages_are_the_times_between_marks() -> None:
    times = by_stage(
        [
            ("start", 0.0),
            ("vision_end", 5.0),
            ("projector_start", 5.5),
            ("projector_end", 6.0),
            ("first_token", 26.0),
            ("last_token", 100.0),
        ]
    )
    assert times == {"vision": 5.0, "projector": 1.0, "prefill": 20.0, "decode": 74.0}


def test_projector_calls_inside_the_tower_count_as_projector() -> None:
    times = by_stage(
        [
            ("start", 0.0),
            ("projector_start", 2.0),
            ("projector_end", 3.0),
            ("projector_start", 6.0),
            ("projector_end", 8.0),
            ("vision_end", 8.5),
            ("first_token", 20.0),
            ("last_token", 20.0),
        ]
    )
    assert times == {"vision": 5.5, "projector": 3.0, "prefill": 11.5, "decode": 0.0}


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
        residuals.append(abs(1 - sum(stages.values()) / timed.total_ms))
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
