"""Cluster bootstrap over images (Efron & Tibshirani 1993, chapters 6, 8 and 13).

Images, not requests, are drawn with replacement, since the questions about one image are alike.
One set of draws serves every setting, stage and workload, so that comparisons are paired.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.params import AnalysisParams
from m1.schemas.requests import Workload
from m1.schemas.results import Estimate

S = TypeVar("S", bound=Hashable)
"""Name of a sample of images, such as a workload."""
Draws = NDArray[np.float64]
"""Row 0 on the measured sample, every other row on a resample: [1 + n_resamples, ...]."""

DECIMALS = 9
"""Digits of a mean after the point."""


@dataclass(frozen=True)
class Resamples:
    """How often each image of a workload counts in each draw."""

    images: pd.Index
    """Image ids [n_images]."""
    counts: Draws
    """Row 0 all ones: the sample itself [1 + n_resamples, n_images]."""

    def weights(self, images: Sequence[str]) -> Draws:
        """How often each request counts, by its image [1 + n_resamples, n_requests]."""
        places = pd.Series(range(len(self.images)), index=self.images)
        return self.counts[:, places.loc[list(images)]]


def draw_resamples(
    images: Mapping[S, Sequence[str]], analysis: AnalysisParams
) -> dict[S, Resamples]:
    """Draw the resamples of all samples (of the workloads, say) together.

    Images are drawn within strata: those that the same samples show. An image of two samples
    then counts alike in both, images of one sample are independent of the other's, and each
    resample of a sample has as many images as the sample.
    """
    rng = np.random.default_rng(analysis.seed)
    parts = [
        (users, _draw(stratum, analysis.n_resamples, rng))
        for users, stratum in _strata(images).items()
    ]
    return {s: _joined([part for users, part in parts if s in users]) for s in images}


def resamples_of(frame: pd.DataFrame, analysis: AnalysisParams) -> dict[Workload, Resamples]:
    """Draw the resamples of the workloads and images that measured rows are about."""
    groups = frame.groupby("workload", sort=True)["image_id"]
    return draw_resamples({str(w): list(ids) for w, ids in groups}, analysis)  # type: ignore[misc]


def _strata(images: Mapping[S, Sequence[str]]) -> dict[tuple[S, ...], list[str]]:
    """The images by which samples show them, in an order that depends on their ids alone."""
    users: dict[str, tuple[S, ...]] = {}
    for sample in sorted(images, key=str):
        for image in set(images[sample]):
            users[image] = (*users.get(image, ()), sample)
    strata: dict[tuple[S, ...], list[str]] = {}
    for image in sorted(users):
        strata.setdefault(users[image], []).append(image)
    return strata


def _draw(images: list[str], n_resamples: int, rng: np.random.Generator) -> Resamples:
    n = len(images)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return Resamples(pd.Index(images), np.vstack([np.ones(n), drawn]))


def _joined(parts: Sequence[Resamples]) -> Resamples:
    images = [image for part in parts for image in part.images]
    return Resamples(pd.Index(images), np.hstack([part.counts for part in parts]))


def weighted_mean(values: Draws, weights: Draws) -> Draws:
    """Mean over requests in every draw.

    Args:
        values: [n_requests, n_columns].
        weights: [n_draws, n_requests].

    Returns:
        [n_draws, n_columns].
    """
    # The last bits depend on the order of summation. Without them equal scores tie on the
    # frontier, and the same rows give the same file.
    means = weights @ values / weights.sum(axis=1, keepdims=True)
    return np.asarray(np.round(means, DECIMALS))


def weighted_quantile(values: Draws, weights: Draws, q: float) -> Draws:
    """Quantile over requests in every draw, as `np.quantile` gives it of the repeated values.

    Args:
        values: [n_requests].
        weights: whole numbers [n_draws, n_requests].
        q: from 0 to 1.

    Returns:
        [n_draws].
    """
    order = np.argsort(values, kind="stable")
    # A request's place among the repeated values ends where its cumulated count does.
    ends = np.cumsum(weights[:, order], axis=1)
    place = q * (ends[:, -1] - 1)
    low, high = (values[order][_place(ends, at)] for at in (np.floor(place), np.ceil(place)))
    return np.asarray(low + (high - low) * (place - np.floor(place)))


def _place(ends: Draws, at: Draws) -> NDArray[np.intp]:
    return np.asarray((ends <= at[:, None]).sum(axis=1))


def estimate(draws: Draws, confidence: float) -> Estimate:
    """The value on the sample with its percentile interval over the resamples [1 + n_resamples].

    Resamples in which the number does not exist (NaN) are left out.
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws[1:], [tail, 1 - tail])
    return Estimate(value=float(draws[0]), low=float(low), high=float(high))


def estimate_if_defined(draws: Draws, confidence: float) -> Estimate | None:
    """Like `estimate`; nothing where the number does not exist on the sample, or too seldom.

    An interval from the resamples that happen to have the number would be too narrow once more of
    them lack it than an interval may leave out.
    """
    return estimate(draws, confidence) if is_defined(draws, confidence) else None


def is_defined(draws: Draws, confidence: float) -> bool:
    """Whether the number exists on the sample and in enough resamples."""
    missing = np.isnan(draws)
    return not missing[0] and bool(missing[1:].mean() <= 1 - confidence)
