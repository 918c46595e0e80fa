import numpy as np
import pandas as pd
import pytest
from analysed import make_analysis, weights_of

from m1.analysis.draws.bootstrap import (
    Resamples,
    draw_resamples,
    draw_samples,
    n_drawn,
    resamples_of,
    weighted_quantile,
)
from m1.analysis.draws.clusters import clusters_of, of_images
from m1.analysis.draws.confidence import Confidence
from m1.analysis.draws.intervals import estimate, estimate_if_defined, estimate_of_extreme
from m1.errors import UserError
from m1.schemas.results import Estimate

ANALYSIS = make_analysis()


def names(start: int, stop: int) -> list[str]:
    return [f"image-{i:03}" for i in range(start, stop)]


def rows_of(*pairs: tuple[str, int], workload: str = "qa") -> pd.DataFrame:
    """Measured rows by image and trial."""
    return pd.DataFrame(pairs, columns=["image_id", "trial"]).assign(workload=workload)


def drawn_by_image(images: list[str]) -> Resamples:
    return draw_resamples([of_images(images)], ANALYSIS)


# Clusters


def test_an_image_belongs_to_the_trial_it_was_measured_in() -> None:
    found = clusters_of(rows_of(("a", 0), ("b", 0), ("c", 1), ("c", 1), ("d", 2)))
    assert found == {"a": "trial 0", "b": "trial 0", "c": "trial 1", "d": "trial 2"}


def test_an_image_in_two_trials_ties_them_together() -> None:
    rows = rows_of(("a", 0), ("a", 3), ("b", 3), ("b", 5), ("c", 5), ("d", 4))
    assert clusters_of(rows) == {**dict.fromkeys("abc", "trial 0"), "d": "trial 4"}


def test_workloads_of_one_trial_are_one_cluster() -> None:
    both = pd.concat([rows_of(("a", 0), ("b", 1)), rows_of(("c", 0), workload="captioning")])
    drawn = resamples_of(both, ANALYSIS)
    weights = weights_of(drawn, ["a", "c", "b"])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert (weights[:, 0] != weights[:, 2]).any()


def test_one_cluster_is_refused() -> None:
    with pytest.raises(UserError, match=r"raise profile\.n_trials"):
        resamples_of(rows_of(("a", 0), ("b", 0)), ANALYSIS)


# Draws


def test_first_draw_is_the_sample_and_each_stratum_has_its_share_of_every_draw() -> None:
    timed, scored = names(0, 30), names(30, 45)
    drawn = draw_resamples([of_images(timed), of_images(scored)], ANALYSIS)
    for images in (timed, scored):
        weights = weights_of(drawn, images)
        assert weights.shape == (1 + ANALYSIS.n_resamples, len(images))
        assert (weights[0] == 1).all()
        assert (weights[1:].sum(axis=1) == n_drawn(len(images), 0.95)).all()


@pytest.mark.parametrize(("n", "student_t"), [(10, 2.262), (20, 2.093), (50, 2.0096), (300, 1.968)])
def test_a_resample_is_so_small_that_intervals_are_as_wide_as_those_of_student(
    n: int, student_t: float
) -> None:
    # In standard deviations: 1.96 sqrt((n - 1) / n / m) against t / sqrt(n).
    half_width = 1.96 * np.sqrt((n - 1) / n / n_drawn(n, 0.95))
    assert half_width == pytest.approx(student_t / np.sqrt(n), rel=0.04)


def test_few_clusters_are_drawn_at_least_once() -> None:
    assert [n_drawn(n, 0.95) for n in range(1, 5)] == [1, 1, 1, 1]


def test_questions_about_one_image_move_together() -> None:
    images = ["a", "a", "b", "c", "c", "c"]
    drawn = drawn_by_image(images)
    weights = weights_of(drawn, images)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 5])
    with pytest.raises(KeyError, match="unknown"):
        weights_of(drawn, ["unknown"])


def test_draws_depend_only_on_the_clusters_and_the_seed() -> None:
    rows = rows_of(*((name, i) for i, name in enumerate(names(0, 9))))
    first, again = (resamples_of(frame, ANALYSIS) for frame in (rows, rows[::-1]))
    other = resamples_of(rows, make_analysis(seed=2))
    np.testing.assert_array_equal(weights_of(first, names(0, 9)), weights_of(again, names(0, 9)))
    assert (first.counts != other.counts).any()


# Statistics


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.95, 0.99, 1.0])
def test_weighted_quantiles_are_those_of_repeated_values(q: float) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 12, size=25).astype(float)
    weights = rng.multinomial(25, np.full(25, 1 / 25), size=40).astype(float)
    repeated = [np.repeat(values, row.astype(int)) for row in weights]
    expected = [np.quantile(row, q, method="median_unbiased") for row in repeated]
    np.testing.assert_allclose(weighted_quantile(values, weights, q), expected)


def test_by_clusters_and_in_parts_results_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    images = [f"{i}" for i in rng.integers(0, 30, size=70)]
    values, drawn = rng.gamma(2, size=(70, 3)), drawn_by_image(images)
    weights = weights_of(drawn, images)
    means = weights @ values / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(drawn.mean(values, images), means)
    expected = np.stack([weighted_quantile(column, weights, 0.9) for column in values.T], axis=1)
    for largest in (1, 700, 10**9):
        monkeypatch.setattr("m1.analysis.draws.bootstrap.LARGEST_PART", largest)
        np.testing.assert_allclose(drawn.quantile(values, images, 0.9), expected)


def test_a_draw_without_any_of_the_requests_has_no_number() -> None:
    drawn = drawn_by_image(names(0, 12))
    (image,), value = names(0, 1), np.ones((1, 1))
    missing = weights_of(drawn, [image])[:, 0] == 0
    assert 0 < missing.mean() < 1
    for found in (drawn.mean(value, [image]), drawn.quantile(value, [image], 0.5)):
        np.testing.assert_array_equal(np.isnan(found[:, 0]), missing)


def test_the_same_scores_in_another_order_have_the_same_mean() -> None:
    scores = np.array([0.9, 0.3, 0.6, 0.9, 0.3, 0.0, 0.1])
    orders = np.stack([np.roll(scores, shift) for shift in range(7)], axis=1)
    assert len({sum(order) for order in orders.T}) > 1
    images = names(0, 7)
    assert len(set(drawn_by_image(images).mean(orders, images)[0])) == 1


# Intervals


def test_estimate_is_the_sample_with_percentiles_of_the_resamples() -> None:
    found = estimate(np.array([5.0, *range(101)]), Confidence(0.9))
    assert (found.value, found.low, found.high) == pytest.approx((5.0, 5.0, 95.0))


def test_the_gain_of_resamples_is_subtracted_from_an_extreme() -> None:
    found = estimate_of_extreme(np.array([50.0, *range(40, 141)]), Confidence(0.9))
    assert (found.value, found.low, found.high) == pytest.approx((50.0, -35.0, 55.0))


def test_an_interval_of_an_area_does_not_go_below_zero() -> None:
    draws = np.array([50.0, *range(40, 141)])
    found = estimate_of_extreme(draws, Confidence(0.9), lowest=0.0)
    assert (found.value, found.low, found.high) == pytest.approx((50.0, 0.0, 55.0))
    beyond = estimate_of_extreme(np.array([10.0, *range(40, 141)]), Confidence(0.9), lowest=0.0)
    assert (beyond.low, beyond.high) == (0.0, 0.0)


def test_cutting_an_interval_removes_no_true_value() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        truth, draws = rng.exponential(0.05), rng.exponential(0.05, size=101)
        whole, cut = (
            estimate_of_extreme(draws, Confidence(0.9), lowest) for lowest in (-np.inf, 0.0)
        )
        assert (whole.low <= truth <= whole.high) == (cut.low <= truth <= cut.high)
        assert cut.low >= 0


def test_resamples_without_the_number_are_left_out_if_few() -> None:
    few = np.array([1.0, np.nan, *np.linspace(0, 2, 99)])
    assert estimate_if_defined(few, Confidence(0.95)) is not None
    many = np.array([1.0, *[np.nan] * 6, *np.linspace(0, 2, 94)])
    assert estimate_if_defined(many, Confidence(0.95)) is None
    assert estimate_if_defined(np.array([np.nan, 1.0, 2.0]), Confidence(0.95)) is None


# Several processes


def of_processes(values: list[list[float]]) -> tuple[pd.DataFrame, list[str]]:
    """Rows of one trial each, with the values of every process in its own trials."""
    numbered = [(process, value) for process, own in enumerate(values) for value in own]
    names = [f"image {i}" for i in range(len(numbered))]
    frame = pd.DataFrame(
        {
            "image_id": names,
            "trial": range(len(names)),
            "process": [process for process, _ in numbered],
            "total_ms": [value for _, value in numbered],
        }
    )
    return frame, names


def interval_of(values: list[list[float]]) -> Estimate:
    frame, names = of_processes(values)
    drawn = resamples_of(frame, make_analysis())
    means = drawn.mean(frame[["total_ms"]].to_numpy(), names)[:, 0]
    return estimate(means, drawn.confidence)


def test_the_interval_of_a_mean_over_processes_is_students() -> None:
    rng = np.random.default_rng(2)
    values = [list(rng.normal(100 + shift, 1, 20)) for shift in (-9, 4, 1, 7, -3)]
    means = np.array([np.mean(own) for own in values])
    half = 2.776 * means.std(ddof=1) / np.sqrt(5)
    found = interval_of(values)
    assert found.value == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx(
        (means.mean() - half, means.mean() + half), rel=1e-3
    )


def test_processes_that_are_alike_widen_an_interval_little() -> None:
    rng = np.random.default_rng(2)
    values = [list(rng.normal(100, 1, 20)) for _ in range(10)]
    together = interval_of([[value for own in values for value in own]])
    apart = interval_of(values)
    assert apart.low <= together.low < together.high <= apart.high
    assert apart.high - apart.low < 1.6 * (together.high - together.low)


def test_a_resample_is_never_a_sample_without_a_process() -> None:
    frame, _ = of_processes([[1.0, 2.0], [3.0, 4.0]])
    drawn = resamples_of(frame, make_analysis())
    counts = drawn.counts
    assert len(counts) == 1 + make_analysis().n_resamples + 2
    assert counts[-2:].tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]
    assert len(drawn.confidence.resampled(counts)) == make_analysis().n_resamples


def test_images_that_are_only_scored_stay_when_a_process_is_left_out() -> None:
    frame, _ = of_processes([[1.0, 2.0], [3.0, 4.0]])
    scored = pd.DataFrame({"image_id": ["image 0", "apart"]})
    drawn = draw_samples(frame, scored, make_analysis())
    places = drawn.places(["image 0", "apart"])
    assert drawn.counts[-2:, places].tolist() == [[0, 1], [1, 1]]


def test_rows_of_earlier_versions_are_of_one_process() -> None:
    frame, _ = of_processes([[1.0, 2.0], [3.0, 4.0]])
    drawn = resamples_of(frame.drop(columns="process"), make_analysis())
    assert drawn.confidence == Confidence(make_analysis().confidence)
