"""E2 has two samples, timed requests and scored requests. They are resampled together."""

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

    Timed images are drawn by trial. Images that are only scored are drawn one by one. Both kinds
    are drawn separately, so every draw has both. An image in several samples counts equally often
    in all of them.

    Args:
        timed: rows with `workload`, `image_id` and `trial`, of both workloads.
        scored: rows of the scored requests, without trials; `None` if no request is scored.
        analysis: number of resamples, their seed, and the confidence of intervals.

    Returns:
        The same resamples for each sample.
    """
    in_trials = clusters_of(timed)
    others = set() if scored is None else set(scored["image_id"]) - set(in_trials)
    drawn = draw_resamples([in_trials, of_images(sorted(others))], analysis)
    kinds: tuple[Kind, ...] = ("timed",) if scored is None else ("timed", "scored")
    return {(workload, kind): drawn for workload in WORKLOADS for kind in kinds}


def size_of(images: Sequence[str], clusters: Mapping[str, str]) -> SampleSize:
    """The size of a sample, from the image of each request and the cluster of each image."""
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
