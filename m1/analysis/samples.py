"""The two samples of E2, requests that are timed and requests that are scored, drawn together."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from m1.analysis.bootstrap import Resamples, draw_resamples
from m1.params import AnalysisParams
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import SampleSize

Sample = tuple[Workload, Literal["timed", "scored"]]


def draw_samples(
    timed: pd.DataFrame, scored: pd.DataFrame | None, analysis: AnalysisParams
) -> dict[Sample, Resamples]:
    """Draw the images of both workloads and both samples together.

    An image that is in several samples counts alike in all of them. Strata keep the size of each
    sample, so that none is ever without requests, however small it is beside the other.

    Args:
        timed: rows with `workload` and `image_id`, of both workloads.
        scored: the same of the requests that are scored; `None` where none is.
        analysis: number of resamples, and their seed.
    """
    images: dict[Sample, list[str]] = {}
    for workload in WORKLOADS:
        images[workload, "timed"] = _images(workload, timed)
        images[workload, "scored"] = _images(workload, scored) if scored is not None else []
    return draw_resamples({sample: ids for sample, ids in images.items() if ids}, analysis)


def _images(workload: Workload, frame: pd.DataFrame) -> list[str]:
    return list(frame.loc[frame["workload"] == workload, "image_id"])


def size_of(images: Sequence[str]) -> SampleSize:
    """The size of a sample, by the image of each of its requests."""
    return SampleSize(n_requests=len(images), n_images=len(set(images)))


def timed_sizes(rows: pd.DataFrame) -> dict[Workload, SampleSize]:
    """How many requests of each workload were timed at each setting."""
    once = rows.drop_duplicates(["workload", "request_id"])
    return {w: size_of(_images(w, once)) for w in WORKLOADS}
