"""Order statistics bound percentiles as often as they promise, or there is no bound."""

import numpy as np
import pytest

from m1.analysis.latency.percentiles import (
    PERCENTILES,
    binomial_probabilities,
    requests_needed,
    too_small_for,
    upper_bound,
    upper_bounds,
)


def test_requests_needed_is_the_smallest_number() -> None:
    for q in (0.5, 0.9, 0.95, 0.99):
        for confidence in (0.8, 0.9, 0.95, 0.99):
            n = requests_needed(q, confidence)
            assert 1 - q**n >= confidence > 1 - q ** (n - 1)


@pytest.mark.parametrize("n", [4, 5, 58, 59, 298, 299, 2000])
def test_a_bound_exists_exactly_where_the_percentile_exists(n) -> None:
    assert set(upper_bounds(range(1, n + 1), 0.95)) == set(PERCENTILES) - set(
        too_small_for(n, 0.95)
    )


def test_the_slowest_request_bounds_the_percentile_of_the_smallest_sample() -> None:
    assert upper_bound(range(1, 60), 0.95, 0.95) == 59
    assert upper_bound(range(1, 300), 0.99, 0.95) == 299


def test_a_larger_sample_has_a_bound_below_its_slowest_request() -> None:
    # 285 of 300 are expected below a P95, with a standard deviation of 3.8; 1.64 of it above.
    assert upper_bound(range(1, 301), 0.95, 0.95) == 292
    assert upper_bound([5.0, 1.0, 4.0, 2.0, 3.0] * 20, 0.5, 0.95) == 3.0


def test_probabilities_are_binomial() -> None:
    np.testing.assert_allclose(binomial_probabilities(3, 0.5), [0.125, 0.375, 0.375, 0.125])
    assert binomial_probabilities(5000, 0.99).sum() == pytest.approx(1)


@pytest.mark.parametrize(("n", "q"), [(100, 0.5), (120, 0.95), (400, 0.99)])
def test_the_bound_holds_in_as_many_samples_as_promised(n, q) -> None:
    rng = np.random.default_rng(0)
    held = [(upper_bound(list(rng.random(n)), q, 0.9) or 0) >= q for _ in range(1000)]
    assert 0.88 < np.mean(held) < 0.975
