import moocore
import numpy as np
import pytest

from m1.analysis.draws.confidence import Draws
from m1.analysis.frontier.dominance import (
    REFERENCE_POINT,
    fastest_keeping,
    hypervolume,
    on_frontier,
    steepness,
)


def one_draw(points: list[tuple[float, float]]) -> tuple[Draws, Draws]:
    latency, quality = np.array(points).T
    return latency[None, :], quality[None, :]


# Few distinct values make many ties and equal points: two values leave four kinds of point.
@pytest.mark.parametrize("n_values", [2, 4, 10, 1000])
@pytest.mark.parametrize("n_settings", [1, 2, 27, 64])
def test_frontier_agrees_with_moocore(n_values: int, n_settings: int) -> None:
    rng = np.random.default_rng([n_values, n_settings])
    latency, quality = rng.integers(1, n_values + 1, size=(2, 60, n_settings)) / n_values
    expected = [
        moocore.is_nondominated(np.stack([*draw], axis=1), maximise=[False, True], keep_weakly=True)
        for draw in zip(latency, quality, strict=True)
    ]
    np.testing.assert_array_equal(on_frontier(latency, quality), expected)


def test_a_slower_setting_of_equal_quality_is_dominated() -> None:
    points = [(1.0, 0.9), (0.8, 0.9), (0.8, 0.7), (0.5, 0.6), (0.5, 0.6)]
    assert on_frontier(*one_draw(points))[0].tolist() == [False, True, False, True, True]


def test_hypervolume_by_hand() -> None:
    # Budgets from 0.5 to 0.8 buy a quality of 0.6, those from 0.8 to the bound 0.9.
    points = [(1.0, 0.9), (0.8, 0.9), (0.5, 0.6), (0.6, 0.2), (2.0, 5.0)]
    expected = 0.3 * 0.6 + (REFERENCE_POINT[0] - 0.8) * 0.9
    np.testing.assert_allclose(hypervolume(*one_draw(points)), [expected])


@pytest.mark.parametrize("n_values", [2, 4, 10, 1000])
@pytest.mark.parametrize("n_settings", [1, 2, 27, 64])
def test_hypervolume_agrees_with_moocore(n_values: int, n_settings: int) -> None:
    rng = np.random.default_rng([n_values, n_settings])
    # Some points lie beyond the bound on latency.
    latency, quality = 1.3 * rng.integers(1, n_values + 1, size=(2, 60, n_settings)) / n_values
    expected = [
        moocore.hypervolume(np.stack([ms, -q], axis=1), ref=[1.05, 0.0])
        for ms, q in zip(latency, quality, strict=True)
    ]
    np.testing.assert_allclose(hypervolume(latency, quality), expected)


def test_steepness_by_hand() -> None:
    # Fastest (0.4, 0.7), the better of two: 0.3 of quality for 0.6 of latency.
    points = [(1.0, 1.0), (0.7, 0.95), (0.4, 0.7), (0.4, 0.1), (0.9, 0.5)]
    np.testing.assert_allclose(steepness(*one_draw(points)), [0.5])


def test_steepness_starts_at_the_reference_wherever_the_best_point_is() -> None:
    points = [(1.0, 1.0), (0.8, 1.2), (0.4, 0.7)]
    np.testing.assert_allclose(steepness(*one_draw(points)), [0.5])
    nothing_lost = [(1.0, 1.0), (0.5, 1.0)]
    np.testing.assert_allclose(steepness(*one_draw(nothing_lost)), [0.0])


@pytest.mark.parametrize("points", [[(1.0, 1.0)], [(1.0, 1.0), (1.2, 1.3)], [(1.0, 1.0)] * 2])
def test_without_a_faster_setting_there_is_no_steepness(points: list[tuple[float, float]]) -> None:
    assert np.isnan(steepness(*one_draw(points))).all()


def test_fractions_that_do_not_exist_give_no_number() -> None:
    latency, quality = np.array([[1.0, 0.5], [1.0, 0.5]]), np.array([[np.nan] * 2, [1.0, 0.5]])
    assert np.isnan(hypervolume(latency, quality)).tolist() == [True, False]
    assert np.isnan(steepness(latency, quality)).tolist() == [True, False]
    assert fastest_keeping(0.9, latency, quality).tolist() == [0, 0]


def test_fastest_keeping_a_level() -> None:
    latency = np.array([[1.0, 0.7, 0.5, 0.9]])
    quality = np.array([[1.0, 0.95, 0.6, 0.97]])
    chosen = [int(fastest_keeping(q, latency, quality)[0]) for q in (1.0, 0.96, 0.95, 0.5)]
    assert chosen == [0, 3, 1, 2]
