"""Section `validity`: what makes a run valid."""

from typing import Annotated

from pydantic import Field

from m1.params.numbers import PositiveInt, RelativeLimit, Share
from m1.schemas.base import Record


class ValidityParams(Record):
    """Section `validity`: the thresholds of a run that may be believed."""

    closure: RelativeLimit
    """Largest share of a request's latency that the stages may leave unexplained."""
    closure_exceptions: Share
    """Largest share of requests that may leave more: the process was interrupted in them."""
    interruptions: Share
    """Largest share of measurements that may be interrupted and made again; with one in two hundred
    a P99 is still that of requests that were left to run."""
    cut_outputs: Share
    """Largest share of a workload's outputs that may be cut at the longest one, at the reference
    setting; beyond a half the median latency is that of the limit."""
    observer_effect: RelativeLimit
    """Largest relative change of latency by the marks, as far as its interval shows it."""
    observer_resolution: RelativeLimit
    """Largest half width of that interval: what the pairs can tell."""
    warmup_plateau: RelativeLimit
    """Largest relative difference of the last two warm-up windows."""
    drift: RelativeLimit
    """Largest relative change of latency between two thirds of the run."""
    jitter: RelativeLimit
    """Largest relative spread of latency at a repeated request."""
    min_e1: PositiveInt
    """Fewest requests of a workload in E1; 59 give a P95 at 95 % confidence."""
    min_e2: PositiveInt
    """Fewest requests of a cell of E2."""
    min_observer: PositiveInt
    """Fewest images of a workload with and without marks."""
    min_answers: PositiveInt
    """Fewest requests of a workload scored at each setting, where there is quality."""
    cpu_busy: Share
    """Largest share of the machine's CPU time taken by other processes."""
    cpu_frequency: RelativeLimit
    """Largest relative spread of the clock of the core that the run is on."""
    gpu_neighbours: Annotated[int, Field(ge=0, le=1000)]
    """Most other processes that may compute on the GPU."""
    throttling: Share
    """Largest share of looks at which heat, power or a fault held the GPU's clocks down."""
    clocks: RelativeLimit
    """Largest relative spread of the GPU's clock at work."""
    runtime_difference: Annotated[float, Field(gt=0.0, le=100.0)]
    """Largest difference of compiled and eager logits, as a multiple of what rounding does to eager
    ones."""
