"""Changes of decode time are split into length and speed, without a remainder."""

import numpy as np
import pytest
from simulated import World

from m1.analysis.cells import DECODE, TimedCells
from m1.analysis.draws.bootstrap import draw_resamples
from m1.analysis.draws.clusters import of_images
from m1.analysis.draws.confidence import Draws
from m1.analysis.latency.decode_split import DecodeDraws, split_decode
from m1.schemas.profile import STAGES
from m1.schemas.results.decode import DecodeParts, DecodeSplits
from m1.schemas.settings import KNOBS, Setting

from analysed import make_analysis  # isort: skip

# A request in four has no steps: of few images, some resample would have none at all.
REFERENCE_STEPS = np.tile([4.0, 8.0, 0.0, 12.0], 10)
REFERENCE_MS = 3.0


def split(n_steps: Draws, decode_ms: Draws, settings: tuple[Setting, ...]) -> DecodeSplits:
    """Split by hand: steps and decode time of each request at each setting."""
    images = tuple(f"image-{i}" for i in range(len(n_steps)))
    stages = np.ones((len(STAGES), *n_steps.shape))
    stages[DECODE] = decode_ms
    cells = TimedCells(
        workload="qa",
        settings=settings,
        images=images,
        total_ms=stages.sum(axis=0),
        stage_ms=stages,
        n_decode_steps=n_steps,
    )
    resamples = draw_resamples([of_images(images)], make_analysis())
    return split_decode(cells, resamples)


def split_one(steps: Draws, ms_per_step: float) -> DecodeSplits:
    """The reference setting against one whose steps and speed are given."""
    n_steps = np.column_stack([REFERENCE_STEPS, steps])
    settings = (Setting(top_k=4), Setting(top_k=2))
    return split(n_steps, n_steps * [REFERENCE_MS, ms_per_step], settings)


def parts_of(splits: DecodeSplits) -> DecodeParts:
    return splits.settings[0].ms


def test_faster_tokens_at_the_same_length_are_all_speed() -> None:
    parts = parts_of(split_one(REFERENCE_STEPS, 2.0))
    assert (parts.length.value, parts.length.low, parts.length.high) == (0, 0, 0)
    assert parts.speed.value == pytest.approx(-6.0)  # a millisecond less in six steps
    assert parts.speed == parts.change


def test_shorter_outputs_at_the_same_speed_are_all_length() -> None:
    parts = parts_of(split_one(REFERENCE_STEPS / 2, REFERENCE_MS))
    assert parts.length.value == pytest.approx(-9.0)
    for value in (parts.speed.value, parts.speed.low, parts.speed.high):
        assert value == pytest.approx(0, abs=1e-7)


def test_each_part_is_taken_at_the_mean_of_the_other() -> None:
    splits = split_one(REFERENCE_STEPS * 2, 1.0)
    parts = parts_of(splits)
    # From 6 steps of 3 ms to 12 steps of 1 ms.
    assert parts.length.value == pytest.approx(6 * (3 + 1) / 2)
    assert parts.speed.value == pytest.approx((1 - 3) * (6 + 12) / 2)
    assert parts.change.value == pytest.approx(12 - 18)
    assert splits.reference_n_steps.value == 6
    assert splits.settings[0].ms_per_step is not None
    assert splits.settings[0].ms_per_step.value == pytest.approx(1.0)
    percent = splits.settings[0].percent
    assert percent is not None
    assert percent.length.value == pytest.approx(100 * 12 / 18)


def test_parts_sum_to_the_change_in_every_draw() -> None:
    rng = np.random.default_rng(1)
    steps = rng.integers(0, 3, size=(50, 9)).astype(float)  # none at all in some cells
    draws = DecodeDraws(steps, steps * rng.uniform(1, 5, steps.shape) + 0.001)
    np.testing.assert_allclose(draws.length_ms + draws.speed_ms, draws.change_ms, atol=1e-12)
    both = (steps > 0) & (steps[:, :1] > 0)
    speed = draws.ms_per_step - draws.ms_per_step[:, :1]
    expected = speed * (steps + steps[:, :1]) / 2
    np.testing.assert_allclose(draws.speed_ms[both], expected[both], atol=1e-9)


def test_the_reverse_change_has_the_opposite_sign() -> None:
    there = DecodeDraws(np.array([[6.0, 12.0]]), np.array([[18.0, 12.0]]))
    back = DecodeDraws(there.n_steps[:, ::-1], there.decode_ms[:, ::-1])
    assert there.length_ms[0, 1] == -back.length_ms[0, 1]
    assert there.speed_ms[0, 1] == -back.speed_ms[0, 1]


def test_outputs_that_shrink_to_a_token_are_all_length() -> None:
    splits = split_one(np.zeros_like(REFERENCE_STEPS), REFERENCE_MS)
    parts = parts_of(splits)
    assert splits.settings[0].ms_per_step is None
    assert (parts.length.value, parts.speed.value) == pytest.approx((-18.0, 0.0))


def test_single_tokens_have_no_percent() -> None:
    nothing = np.zeros((4, 2))
    splits = split(nothing, nothing + 0.001, (Setting(top_k=4), Setting(top_k=2)))
    assert splits.reference_ms_per_step is None
    assert splits.settings[0].percent is None
    assert (parts_of(splits).length.value, parts_of(splits).speed.value) == (0, 0)


def test_every_setting_is_split_and_those_of_a_knob_are_named() -> None:
    grid = World(vision_tokens=(144,), top_k=(4, 2), active_blocks=(8, 6, 4)).grid
    steps = np.tile(REFERENCE_STEPS[:, None], len(grid))
    splits = split(steps, steps * np.linspace(3, 2, len(grid)), grid)
    assert [one.setting for one in splits.settings] == list(grid[1:])
    labels = {knob: [one.label for one in splits.knobs[knob]] for knob in KNOBS}
    assert labels == {
        "vision_tokens": [],
        "top_k": ["144/2/8"],
        "active_blocks": ["144/4/6", "144/4/4"],
    }
