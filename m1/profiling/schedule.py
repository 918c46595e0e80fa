"""The order of measurement: trials outermost, cells in random order within each trial.

So drift of the machine affects all cells alike, and not only the last ones.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from m1.params import PerWorkload, ProfileParams
from m1.profiling.cell import Cell
from m1.schemas.profile import Experiment
from m1.schemas.requests import WORKLOADS, Request, Workload
from m1.schemas.settings import NATIVE, DecodeMode, Setting

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
    for image, of_image in n_requests.items():
        trial = int(load[:, of_image > 0].sum(axis=1).argmin())
        load[trial] += of_image
        trial_of[image] = trial
    return trial_of


def _count(requests: Mapping[Workload, Sequence[Request]]) -> dict[str, Counts]:
    """The number of requests of each workload per image [n_workloads], in order of appearance."""
    counts: dict[str, Counts] = {}
    for place, workload in enumerate(WORKLOADS):
        for request in requests[workload]:
            counts.setdefault(request.image_id, np.zeros(len(WORKLOADS)))[place] += 1
    return counts


@dataclass(frozen=True)
class Planned:
    """One request to measure, with marks or without."""

    request: Request
    marked: bool = True
    order: int = -1
    """Place in the order of measurement, from 0; -1 in warm-up."""


@dataclass(frozen=True)
class Round:
    """The requests of one cell in one trial."""

    experiment: Experiment
    trial: int
    workload: Workload
    setting: Setting
    decode_mode: DecodeMode
    planned: tuple[Planned, ...]
    process: int = 0

    @property
    def cell(self) -> Cell:
        """The cell that the requests belong to."""
        return Cell(self.experiment, self.workload, self.setting, self.decode_mode)


def plan(
    params: ProfileParams,
    grid: Sequence[Setting],
    requests: Mapping[Workload, Sequence[Request]],
    modes: Sequence[DecodeMode],
) -> list[Round]:
    """Plan a whole run.

    Args:
        params: the numbers of requests, trials and anchors.
        grid: all settings, the reference first.
        requests: the requests of each workload; each experiment takes as many as it needs, from
            the first on.
        modes: the decode modes. Each has a pass of E1 and E2; observer pairs and
            anchors are in the first.

    Returns:
        Rounds in the order of measurement.
    """
    rng = np.random.default_rng(params.seed)
    dealt = {
        wanted: deal_images({w: requests[w][: wanted.of(w)] for w in WORKLOADS}, params.n_trials)
        for wanted in (params.e1_requests, params.e2_requests, params.observer_requests)
    }
    rounds: list[Round] = []
    for trial in range(params.n_trials):
        due = list(_rounds_of_trial(trial, params, grid, requests, modes, dealt))
        due = [round_ for round_ in due if round_.planned]
        process = params.process_of(trial)
        due = [replace(round_, process=process) for round_ in due]
        rounds += [_shuffled(due[i], rng) for i in rng.permutation(len(due))]
    return _numbered(rounds)


def one_of_each_shape(
    rounds: Sequence[Round], shape: Callable[[Round, Request], Hashable]
) -> list[Round]:
    """Rounds of one request each: the first of every shape at every setting.

    Args:
        rounds: the rounds of a plan.
        shape: computes the shape of a request in a round; called once for each request and number
            of visual tokens.
    """
    shapes: dict[Hashable, Hashable] = {}
    firsts: dict[Hashable, Round] = {}
    for round_ in rounds:
        for planned in round_.planned:
            which = round_.workload, planned.request.request_id, round_.setting.vision_tokens
            if which not in shapes:
                shapes[which] = shape(round_, planned.request)
            alone = replace(round_, planned=(replace(planned, marked=True, order=-1),))
            firsts.setdefault((round_.setting, shapes[which]), alone)
    return list(firsts.values())


def _numbered(rounds: Sequence[Round]) -> list[Round]:
    """The rounds with the place of each request. An interrupted run finds requests by place."""
    places = count()
    return [
        replace(round_, planned=tuple(replace(each, order=next(places)) for each in round_.planned))
        for round_ in rounds
    ]


def _rounds_of_trial(
    trial: int,
    params: ProfileParams,
    grid: Sequence[Setting],
    requests: Mapping[Workload, Sequence[Request]],
    modes: Sequence[DecodeMode],
    dealt: Mapping[PerWorkload, Mapping[str, int]],
) -> Iterator[Round]:
    def chosen(workload: Workload, wanted: PerWorkload) -> tuple[Request, ...]:
        some = requests[workload][: wanted.of(workload)]
        return tuple(r for r in some if dealt[wanted][r.image_id] == trial)

    for workload in WORKLOADS:
        pairs = chosen(workload, params.observer_requests)
        both = tuple(Planned(r, marked) for r in pairs for marked in (True, False))
        yield Round("observer", trial, workload, grid[0], modes[0], both)
        for request in requests[workload][: params.anchor_requests.of(workload)]:
            # Each in a round of its own, so that anchors are spread over the trial.
            yield Round("anchor", trial, workload, NATIVE, modes[0], (Planned(request),))
        for mode in modes:
            for some in _chunks(chosen(workload, params.e1_requests), len(grid)):
                yield Round("e1", trial, workload, grid[0], mode, tuple(map(Planned, some)))
            each = tuple(map(Planned, chosen(workload, params.e2_requests)))
            for setting in grid:
                yield Round("e2", trial, workload, setting, mode, each)


def _chunks(requests: tuple[Request, ...], n: int) -> list[tuple[Request, ...]]:
    """Cut E1 into up to n parts, so that it is spread over the trial like the grid."""
    return [requests[i::n] for i in range(min(n, len(requests)))]


def _shuffled(round_: Round, rng: np.random.Generator) -> Round:
    """A round with its requests in random order.

    The two requests of an observer pair stay together, also in random order.
    """
    width = 2 if round_.experiment == "observer" else 1
    groups = [round_.planned[i : i + width] for i in range(0, len(round_.planned), width)]
    order = [groups[i] for i in rng.permutation(len(groups))]
    mixed = [group[i] for group in order for i in rng.permutation(len(group))]
    return replace(round_, planned=tuple(mixed))
