import numpy as np
import pandas as pd
import pytest
from analysed import make_analysis

from m1.analysis.bootstrap import (
    draw_resamples,
    estimate,
    estimate_if_defined,
    resamples_of,
    weighted_mean,
    weighted_quantile,
)
from m1.schemas.requests import WORKLOADS

ANALYSIS = make_analysis()


def names(start: int, stop: int) -> list[str]:
    return [f"image-{i:03}" for i in range(start, stop)]


def test_first_draw_is_the_sample_and_every_draw_has_as_many_images() -> None:
    drawn = draw_resamples({"qa": names(0, 30), "captioning": names(20, 35)}, ANALYSIS)
    for workload in WORKLOADS:
        counts, n = drawn[workload].counts, {"qa": 30, "captioning": 15}[workload]
        assert counts.shape == (1 + ANALYSIS.n_resamples, n)
        assert (counts[0] == 1).all()
        assert (counts.sum(axis=1) == n).all()
        assert (counts[1:] != 1).any(axis=1).all()


def test_workloads_share_the_resamples_of_shared_images() -> None:
    drawn = draw_resamples({"qa": names(0, 30), "captioning": names(0, 12)}, ANALYSIS)
    shared = names(0, 12)
    np.testing.assert_array_equal(drawn["qa"].weights(shared), drawn["captioning"].weights(shared))


def test_workloads_without_shared_images_are_independent() -> None:
    drawn = draw_resamples({"qa": names(0, 30), "captioning": names(30, 60)}, ANALYSIS)
    qa, captioning = drawn["qa"].counts[1:], drawn["captioning"].counts[1:]
    values = np.arange(30.0)
    correlation = np.corrcoef(qa @ values, captioning @ values)[0, 1]
    assert abs(correlation) < 0.25


def test_questions_about_one_image_move_together() -> None:
    images = ["a", "a", "b", "c", "c", "c"]
    drawn = draw_resamples({"qa": images}, ANALYSIS)
    weights = drawn["qa"].weights(images)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 5])
    assert drawn["qa"].counts.sum(axis=1).tolist() == [3] * (1 + ANALYSIS.n_resamples)
    with pytest.raises(KeyError, match="unknown"):
        drawn["qa"].weights(["unknown"])


def test_draws_follow_from_the_images_and_the_seed_alone() -> None:
    frame = pd.DataFrame({"workload": ["qa"] * 9 + ["captioning"] * 9, "image_id": names(0, 9) * 2})
    first, again = (resamples_of(f, ANALYSIS) for f in (frame, frame[::-1]))
    other = resamples_of(frame, make_analysis(seed=2))
    np.testing.assert_array_equal(first["qa"].counts, again["qa"].counts)
    assert list(first["qa"].images) == list(again["qa"].images) == names(0, 9)
    assert (first["qa"].counts != other["qa"].counts).any()


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.95, 0.99, 1.0])
def test_weighted_statistics_are_those_of_repeated_values(q: float) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 12, size=25).astype(float)
    weights = rng.multinomial(25, np.full(25, 1 / 25), size=40).astype(float)
    repeated = [np.repeat(values, row.astype(int)) for row in weights]
    np.testing.assert_allclose(
        weighted_quantile(values, weights, q), [np.quantile(row, q) for row in repeated]
    )
    np.testing.assert_allclose(
        weighted_mean(values[:, None], weights)[:, 0], [row.mean() for row in repeated]
    )


def test_the_same_scores_in_another_order_have_the_same_mean() -> None:
    scores = np.array([0.9, 0.3, 0.6, 0.9, 0.3, 0.0, 0.1])
    orders = np.stack([np.roll(scores, shift) for shift in range(7)], axis=1)
    assert len({sum(order) for order in orders.T}) > 1
    assert len(set(weighted_mean(orders, np.ones((1, 7)))[0])) == 1


def coverage(by_image: bool, n_worlds: int = 150) -> float:
    """How often a 95 % interval holds the true mean, when answers about an image are alike."""
    rng = np.random.default_rng(7)
    image_of = np.repeat(np.arange(40), 4)
    hits = 0
    for seed in range(n_worlds):
        values = rng.normal(size=40)[image_of] + 0.3 * rng.normal(size=160)
        ids = [f"{i:03}" for i in (image_of if by_image else range(160))]
        drawn = draw_resamples({"qa": ids}, make_analysis(seed=seed))["qa"]
        found = estimate(weighted_mean(values[:, None], drawn.weights(ids))[:, 0], 0.95)
        hits += found.low <= 0 <= found.high
    return hits / n_worlds


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    assert 0.89 <= coverage(by_image=True) <= 0.99
    # Requests as units would be far too sure: the test above can tell.
    assert coverage(by_image=False) < 0.8


def test_estimate_is_the_sample_with_percentiles_of_the_resamples() -> None:
    found = estimate(np.array([5.0, *range(101)]), 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((5.0, 5.0, 95.0))


def test_resamples_without_the_number_are_left_out_if_few() -> None:
    few = np.array([1.0, np.nan, *np.linspace(0, 2, 99)])
    assert estimate_if_defined(few, 0.95) is not None
    many = np.array([1.0, *[np.nan] * 6, *np.linspace(0, 2, 94)])
    assert estimate_if_defined(many, 0.95) is None
    assert estimate_if_defined(np.array([np.nan, 1.0, 2.0]), 0.95) is None
