"""Which trial each image is measured in."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from m1.schemas.requests import WORKLOADS, Request, Workload

Counts = NDArray[np.float64]


def deal_images(requests: Mapping[Workload, Sequence[Request]], n_trials: int) -> dict[str, int]:
    """Deal images to trials, so that all requests about one image are in one trial.

    Trials are then independent of each other, and the bootstrap can draw them whole. Each image
    goes to the trial with the fewest requests of the workloads that use it. So every trial has
    about the same number of requests of each workload.

    Args:
        requests: the requests of each workload in one experiment.
        n_trials: how many trials there are.

    Returns:
        Image id to trial.
    """
    n_requests = _count(requests)
    load = np.zeros((n_trials, len(WORKLOADS)))
    trial_of: dict[str, int] = {}
    for image, count in n_requests.items():
        trial = int(load[:, count > 0].sum(axis=1).argmin())
        load[trial] += count
        trial_of[image] = trial
    return trial_of


def _count(requests: Mapping[Workload, Sequence[Request]]) -> dict[str, Counts]:
    """The number of requests of each workload per image [n_workloads], in order of appearance."""
    counts: dict[str, Counts] = {}
    for place, workload in enumerate(WORKLOADS):
        for request in requests[workload]:
            counts.setdefault(request.image_id, np.zeros(len(WORKLOADS)))[place] += 1
    return counts
