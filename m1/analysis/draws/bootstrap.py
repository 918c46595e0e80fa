"""Cluster bootstrap (Efron & Tibshirani 1993, chapters 6 and 8).

Clusters, not requests, are drawn with replacement. Requests of one trial or about one image are
alike, so they share a cluster (`m1.analysis.draws.clusters`). Every setting, stage and workload
uses the same draws, so comparisons are paired.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m1.analysis.draws.clusters import clusters_of, of_images, processes_of
from m1.analysis.draws.confidence import Confidence, Draws
from m1.errors import UserError
from m1.params import AnalysisParams
from m1.schemas.results import SampleSize

Values = NDArray[np.float64]
"""Measured numbers, the first axis for requests: [n_requests, ...]."""

NOT_TIMED = -1
"""The process of clusters that were only scored."""
DECIMALS = 9
"""Decimal places of a mean."""
LARGEST_PART = 2**21
"""The largest number of weights in memory while quantiles are computed."""


@dataclass(frozen=True)
class Resamples:
    """The number of times that each cluster counts in each draw, and the images in each cluster."""

    clusters: Mapping[str, str]
    """Image id to the name of its cluster."""
    names: tuple[str, ...]
    """Names of the clusters [n_clusters]."""
    counts: Draws
    """How often each cluster counts; row 0 (the sample) is all 1 [n_draws, n_clusters]."""
    confidence: Confidence
    """The confidence of intervals that these draws are for: they decide the size of a resample."""

    def size_of(self, images: Sequence[str]) -> SampleSize:
        """The size of a sample, from the image of each request."""
        return SampleSize(
            n_requests=len(images),
            n_images=len(set(images)),
            n_clusters=len({self.clusters[image] for image in images}),
        )

    def places(self, images: Sequence[str]) -> NDArray[np.intp]:
        """The column of each image's cluster in `counts` [n_images]."""
        columns = {name: column for column, name in enumerate(self.names)}
        return np.array([columns[self.clusters[image]] for image in images], dtype=np.intp)

    def mean(self, values: Values, images: Sequence[str]) -> Draws:
        """Mean over requests in every draw, computed from the sum of each cluster.

        Args:
            values: [n_requests, n_columns].
            images: the image of each request.

        Returns:
            [n_draws, n_columns]; NaN in draws without any of the requests.
        """
        sums = np.zeros((len(self.names), values.shape[1]))
        np.add.at(sums, self.places(images), values)
        sizes = np.bincount(self.places(images), minlength=len(self.names))
        means = ratio(self.counts @ sums, (self.counts @ sizes)[:, None])
        # The last bits depend on the order of summation, so they are rounded off. Equal scores
        # then tie on the frontier, and the same rows give the same file.
        return np.asarray(np.round(means, DECIMALS))

    def quantile(self, values: Values, images: Sequence[str], q: float) -> Draws:
        """Quantile over requests in every draw, computed for a few draws at a time.

        Args:
            values: [n_requests, n_columns].
            images: the image of each request.
            q: from 0 to 1.

        Returns:
            [n_draws, n_columns]; NaN in draws without any of the requests.
        """
        places = self.places(images)
        means = np.empty((len(self.counts), values.shape[1]))
        for part in _parts(len(self.counts), len(places)):
            weights = self.counts[part].astype(np.int16)[:, places]
            for column, of_column in enumerate(values.T):
                means[part, column] = weighted_quantile(of_column, weights, q)
        return means


def _parts(n_draws: int, n_requests: int) -> Iterator[slice]:
    size = max(1, LARGEST_PART // n_requests)
    return (slice(start, start + size) for start in range(0, n_draws, size))


def draw_resamples(
    strata: Sequence[Mapping[str, str]],
    analysis: AnalysisParams,
    process_of: Mapping[str, int] | None = None,
) -> Resamples:
    """Draw one set of resamples, which all compared numbers share.

    Args:
        strata: groups of images, each as a map from image id to the name of its cluster. Each
            group is drawn separately, so it keeps its share of every draw.
        analysis: number of resamples, their seed, and the confidence of intervals.
        process_of: the process that measured each cluster. Clusters without one were not timed.

    Raises:
        UserError: if there is only one cluster, since all its resamples would equal the sample.
    """
    rng = np.random.default_rng(analysis.seed)
    names = [sorted(set(stratum.values())) for stratum in strata]
    if sum(map(len, names)) < 2:
        raise UserError(
            "all measured requests are of one trial, or share images, so the influence of chance "
            "cannot be estimated: raise profile.n_trials"
        )
    counts = np.hstack([_draw(len(stratum), analysis, rng) for stratum in names if stratum])
    all_names = tuple(name for stratum in names for name in stratum)
    processes = [(process_of or {}).get(name, NOT_TIMED) for name in all_names]
    without = _without_each(np.array(processes))
    return Resamples(
        clusters={image: name for stratum in strata for image, name in stratum.items()},
        names=all_names,
        counts=np.vstack([counts, without]),
        confidence=Confidence(analysis.confidence, max(1, len(without))),
    )


def resamples_of(frame: pd.DataFrame, analysis: AnalysisParams) -> Resamples:
    """Draw the resamples of measured rows; workloads share them."""
    clusters = clusters_of(frame)
    return draw_resamples([clusters], analysis, processes_of(frame, clusters))


def draw_samples(
    timed: pd.DataFrame, scored: pd.DataFrame | None, analysis: AnalysisParams
) -> Resamples:
    """Draw the clusters of E2's two samples together: timed requests and scored requests.

    Timed images are drawn by trial. Images that are only scored are drawn one by one. Both kinds
    are drawn separately, so every draw has both. An image in several samples counts equally often
    in all of them.

    Args:
        timed: rows with `image_id` and `trial`, of both workloads.
        scored: rows of the scored requests, without trials; `None` if no request is scored.
        analysis: number of resamples, their seed, and the confidence of intervals.
    """
    in_trials = clusters_of(timed)
    others = set() if scored is None else set(scored["image_id"]) - set(in_trials)
    strata = [in_trials, of_images(sorted(others))]
    return draw_resamples(strata, analysis, processes_of(timed, in_trials))


def _draw(n: int, analysis: AnalysisParams, rng: np.random.Generator) -> Draws:
    drawn = rng.multinomial(
        n_drawn(n, analysis.confidence), np.full(n, 1 / n), size=analysis.n_resamples
    )
    return np.vstack([np.ones(n), drawn])


def _without_each(processes: NDArray[np.int64]) -> Draws:
    """How often each cluster counts without each process [n_processes, n_clusters].

    There are no rows for a single process.
    """
    each = np.setdiff1d(processes, [NOT_TIMED])
    if len(each) == 1:
        each = each[:0]
    return np.asarray(processes != each[:, None], dtype=np.float64)


def n_drawn(n: int, confidence: float) -> int:
    """The number of clusters in a resample: a few less than n, for intervals as wide as Student's.

    If n of n are drawn, percentile intervals of a mean are too narrow: their squared width is too
    small by the factor (z / t)^2 (n - 1) / n (Hesterberg 2015, "What teachers should know about
    the bootstrap", section 4.3). The variance of a resample's mean is proportional to one over its
    size. To first order in 1 / n, t^2 is z^2 (1 + (z^2 + 1) / (2 (n - 1))).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return max(1, round(n - 1 - (z**2 + 1) / 2))


def weighted_quantile(values: Values, weights: NDArray[np.int16] | Draws, q: float) -> Draws:
    """Quantile over requests in every draw. Each value is repeated as often as it counts.

    This is the median-unbiased quantile (Hyndman & Fan 1996, type 8). Numpy's default is too low
    in the upper tail, and intervals of a P95 would then miss the truth on one side.

    Args:
        values: [n_requests].
        weights: whole numbers [n_draws, n_requests].
        q: from 0 to 1.

    Returns:
        [n_draws]; NaN in draws without any of the requests.
    """
    order = np.argsort(values, kind="stable")
    n_draws, n_requests = weights.shape
    # The repeated values of a request end at its cumulative count. One running count through all
    # draws only rises, so bisection finds each place.
    ends = np.cumsum(np.take(weights, order, axis=1), dtype=np.int64)
    starts = np.concatenate([[0], ends[n_requests - 1 :: n_requests]])
    size = np.diff(starts)
    place = np.clip(q * (size + 1 / 3) - 2 / 3, 0, np.maximum(size - 1, 0))
    below = np.floor(place).astype(np.int64)

    def at(place: NDArray[np.int64]) -> Draws:
        places = np.searchsorted(ends, starts[:-1] + place, side="right")
        places = np.clip(places - n_requests * np.arange(n_draws), 0, n_requests - 1)
        return np.asarray(values[order[places]])

    low, high = at(below), at(np.minimum(below + 1, size - 1))
    return np.where(size > 0, low + (high - low) * (place - below), np.nan)


def ratio(of: Values | Draws, to: Values | Draws) -> Draws:
    """Divide; NaN where the divisor is not above 0.

    Args:
        of: the dividend.
        to: the divisor; both are broadcast.
    """
    of, to = np.broadcast_arrays(of, to)
    quotients: Draws = np.full(of.shape, np.nan)
    np.divide(of, to, out=quotients, where=to > 0)
    return quotients
