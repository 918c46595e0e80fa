"""Stages compared with their floors, on made-up times with known floors."""

import numpy as np
import pytest
from analysed import make_analysis
from simulated import World, simulate_run

from m1.analysis.cells import DECODE, TimedCells
from m1.analysis.draws.bootstrap import draw_resamples
from m1.analysis.draws.clusters import of_images
from m1.analysis.draws.confidence import Confidence
from m1.analysis.latency.roofline import make_roofline, stage_roofline
from m1.schemas.profile import STAGES, DeviceRates, ProfileRun, StageWork
from m1.schemas.results.roofline import CellRoofline
from m1.schemas.settings import Setting

RATES = DeviceRates(copy_gb_per_s=100.0, matrix_tflop_per_s=2.0)
DRAWS = np.array([4.0, 3.9, 4.1, 4.0])
WORLD = World(vision_tokens=(144,), top_k=(4, 2), active_blocks=(8,))
N_REQUESTS = 40


def roofline(steps: float, run: ProfileRun) -> tuple[CellRoofline, ...]:
    """Every stage takes 3 ms, decode 2 ms a step."""
    images = tuple(f"image-{i}" for i in range(N_REQUESTS))
    stage_ms = np.full((len(STAGES), N_REQUESTS, len(WORLD.grid)), 3.0)
    stage_ms[DECODE] = 2.0 * steps
    n_steps = np.full(stage_ms[0].shape, steps)
    cells = TimedCells("qa", WORLD.grid, images, stage_ms.sum(axis=0), stage_ms, n_steps)
    resamples = draw_resamples([of_images(images)], make_analysis())
    return make_roofline(cells, resamples, run)


def test_the_floor_is_the_slower_of_computing_and_reading() -> None:
    computing = StageWork(operations=4e9, weight_bytes=1e8, cache_bytes=0.0)
    one = stage_roofline(computing, DRAWS, RATES, Confidence(0.95))
    assert (one.floor_ms, one.bound_by) == (pytest.approx(2.0), "operations")
    assert one.over_floor.value == pytest.approx(2.0)
    assert one.share_of_matrix_rate == pytest.approx(0.5)
    assert one.share_of_bandwidth == pytest.approx(0.25)


def test_keys_and_values_are_read_as_well_as_weights() -> None:
    reading = StageWork(operations=1e6, weight_bytes=1e8, cache_bytes=1e8)
    one = stage_roofline(reading, DRAWS, RATES, Confidence(0.95))
    assert (one.floor_ms, one.bound_by) == (pytest.approx(2.0), "bytes")
    assert one.read_bytes == 2e8
    assert one.over_floor.low < one.over_floor.value < one.over_floor.high


def test_decode_is_reported_for_one_token() -> None:
    for cell in roofline(steps=7.0, run=simulate_run(WORLD)):
        assert set(cell.stages) == set(STAGES)
        assert cell.stages["decode"].measured_ms.value == pytest.approx(2.0)
        assert cell.stages["vision"].measured_ms.value == pytest.approx(3.0)


def test_a_stage_without_work_has_no_distance_to_a_floor() -> None:
    run = simulate_run(WORLD)
    none = StageWork(operations=0.0, weight_bytes=0.0, cache_bytes=0.0)
    work = [one.model_copy(update={"stages": one.stages | {"projector": none}}) for one in run.work]
    for cell in roofline(steps=7.0, run=run.model_copy(update={"work": tuple(work)})):
        assert set(cell.stages) == set(STAGES) - {"projector"}


def test_outputs_of_one_token_have_no_decode() -> None:
    for cell in roofline(steps=0.0, run=simulate_run(WORLD)):
        assert set(cell.stages) == set(STAGES) - {"decode"}


def test_a_stage_without_counts_has_no_floor() -> None:
    # A projector without weights, such as one that shuffles or averages features.
    run = simulate_run(WORLD)
    nothing = StageWork(operations=0.0, weight_bytes=0.0, cache_bytes=0.0)
    work = tuple(
        one.model_copy(update={"stages": one.stages | {"projector": nothing}}) for one in run.work
    )
    for cell in roofline(3.0, run.model_copy(update={"work": work})):
        assert set(cell.stages) == set(STAGES) - {"projector"}


def test_settings_whose_work_is_not_known_are_left_out() -> None:
    run = simulate_run(WORLD)
    known = tuple(one for one in run.work if one.setting == Setting(**WORLD.grid[1].model_dump()))
    only = run.model_copy(update={"work": known})
    assert [cell.setting for cell in roofline(3.0, only)] == [WORLD.grid[1]]
    assert roofline(3.0, run.model_copy(update={"work": ()})) == ()
