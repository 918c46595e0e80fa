"""E2 has two samples, timed requests and scored requests. They are resampled together."""

import pandas as pd

from m1.analysis.draws.bootstrap import Resamples, draw_resamples
from m1.analysis.draws.clusters import clusters_of, of_images
from m1.params import AnalysisParams


def draw_samples(
    timed: pd.DataFrame, scored: pd.DataFrame | None, analysis: AnalysisParams
) -> Resamples:
    """Draw the clusters of both workloads and both samples together.

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
    return draw_resamples([in_trials, of_images(sorted(others))], analysis)
