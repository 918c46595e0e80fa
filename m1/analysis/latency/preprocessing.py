"""E1: preprocessing, from an image's file to inputs on the device. It is not part of the total."""

import numpy as np
import pandas as pd

from m1.analysis.draws.bootstrap import Resamples
from m1.analysis.draws.intervals import estimate
from m1.analysis.latency.percentiles import estimate_percentiles
from m1.schemas.results import Preprocessing


def describe_preprocessing(rows: pd.DataFrame, resamples: Resamples) -> Preprocessing:
    """Mean, percentiles and parts of preprocessing.

    Args:
        rows: measured rows of E1 of one workload.
        resamples: draws of their clusters.
    """
    confidence = resamples.confidence
    images = list(rows["image_id"])
    # Earlier versions have no such column.
    columns = rows.reindex(columns=["preprocess_ms", "open_image_ms", "total_ms"])
    times = columns.to_numpy(dtype=np.float64)
    whole, opening, total = resamples.mean(times, images).T
    if np.isnan(times).any():  # opening was not timed, so the sum lacks it
        return Preprocessing(processor_ms=estimate(whole, confidence))
    percentiles = estimate_percentiles(times[:, 0], images, resamples)
    return Preprocessing(
        mean_ms=estimate(whole, confidence),
        p50_ms=percentiles["p50_ms"],
        p95_ms=percentiles["p95_ms"],
        relative_to_total=estimate(whole / total, confidence),
        open_image_ms=estimate(opening, confidence),
        processor_ms=estimate(whole - opening, confidence),
    )
