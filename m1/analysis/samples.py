"""The two samples of E2, requests that are timed and requests that are scored, drawn together."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd

from m1.analysis.bootstrap import Resamples, draw_resamples
from m1.analysis.clusters import clusters_of, of_images
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SampleSize

Kind = Literal["timed", "scored"]
Sample = tuple[Workload, Kind]


def draw_samples(
    timed: pd.DataFrame, scored: pd.DataFrame | None, analysis: AnalysisParams
) -> dict[Sample, Resamples]:
    """Draw the clusters of both workloads and both samples together.

    Timed images are drawn by trial, those that are only scored one by one, each kind apart so that
    every draw has both. An image that is in several samples counts alike in all of them.

    Args:
        timed: rows with `workload`, `image_id` and `trial`, of both workloads.
        scored: the same, without trials, of the requests that are scored; `None` where none is.
        analysis: number of resamples, their seed, and the confidence of intervals.

    Returns:
        The same resamples for each sample that there is.
    """
    in_trials = clusters_of(timed)
    others = set() if scored is None else set(scored["image_id"]) - set(in_trials)
    drawn = draw_resamples([in_trials, of_images(sorted(others))], analysis)
    kinds: tuple[Kind, ...] = ("timed",) if scored is None else ("timed", "scored")
    return {(workload, kind): drawn for workload in WORKLOADS for kind in kinds}


def size_of(images: Sequence[str], clusters: Mapping[str, str]) -> SampleSize:
    """The size of a sample, by the image of each of its requests and each image's cluster."""
    return SampleSize(
        n_requests=len(images),
        n_images=len(set(images)),
        n_clusters=len({clusters[image] for image in images}),
    )


def timed_sizes(rows: pd.DataFrame) -> dict[Workload, SampleSize]:
    """How many requests of each workload were timed at each setting."""
    clusters = clusters_of(rows)
    once = rows.drop_duplicates(["workload", "request_id"])
    images = {w: list(once.loc[once["workload"] == w, "image_id"]) for w in WORKLOADS}
    return {w: size_of(images[w], clusters) for w in WORKLOADS}
