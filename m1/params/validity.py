"""Section `validity`: the conditions of a valid run."""

from typing import Annotated

from pydantic import Field

from m1.params.numbers import PositiveInt, RelativeLimit, Share
from m1.schemas.base import Record


class ValidityParams(Record):
    """Section `validity`: the thresholds of a valid run."""

    closure: RelativeLimit
    """Largest share of a request's latency that the stages may leave unexplained."""
    closure_exceptions: Share
    """Largest share of requests that may leave more unexplained, because the process was
    interrupted in them."""
    interruptions: Share
    """Largest share of measurements that may be interrupted and made again. With 1 in 200, a P99
    still describes requests that were not interrupted."""
    cut_outputs: Share
    """Largest share of a workload's outputs, at the reference setting, that may be cut at
    `max_new_tokens`. Above one half, the median latency is only the latency of an output of that
    length."""
    observer_effect: RelativeLimit
    """Largest relative change of latency by the marks, as far as the interval proves a change."""
    observer_resolution: RelativeLimit
    """Largest half width of that interval. It says how small a change the pairs can show."""
    warmup_plateau: RelativeLimit
    """Largest relative difference of the last two warm-up windows."""
    drift: RelativeLimit
    """Largest relative change of latency between two thirds of the run."""
    jitter: RelativeLimit
    """Largest relative spread of the latencies of one repeated request."""
    min_e1: PositiveInt
    """Smallest number of requests of a workload in E1. A P95 at 95 % confidence needs 59."""
    min_e2: PositiveInt
    """Smallest number of requests of a cell of E2."""
    min_observer: PositiveInt
    """Smallest number of images of a workload that are measured with and without marks."""
    min_answers: PositiveInt
    """Smallest number of requests of a workload scored at each setting, if there is quality."""
    cpu_busy: Share
    """Largest share of the machine's CPU time taken by other processes."""
    cpu_frequency: RelativeLimit
    """Largest relative spread of the clock of the core that the run uses."""
    gpu_neighbours: Annotated[int, Field(ge=0, le=1000)]
    """Largest number of other processes that may compute on the GPU at the same time."""
    throttling: Share
    """Largest share of samples in which heat, power or a fault slowed the GPU's clocks."""
    clocks: RelativeLimit
    """Largest relative spread of the GPU's clock while it computes."""
    runtime_difference: Annotated[float, Field(gt=0.0, le=100.0)]
    """Largest difference between compiled and eager logits, as a multiple of the difference that
    rounding makes in eager logits."""
