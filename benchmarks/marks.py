"""What marks at the stage boundaries cost, and whether the stages add up to the total time."""

import numpy as np

from benchmarks.bench import Bench
from benchmarks.greedy_loop import NAMES
from benchmarks.ratios import interleaved, median_estimate
from benchmarks.row import Aim, Row
from m1.profiling.run import no_search_through_the_model
from m1.profiling.timing.request import timed_alone, timed_with_marks
from m1.schemas.requests import WORKLOADS, Workload
from m1.vlm.loading.load import load_vlm
from m1.vlm.model import LoadedVlm

EFFECT, CLOSURE = "2. Marks", "3. Closure"
EFFECT_AIM, CLOSURE_AIM = Aim(1.01), Aim(0.5)
N_PAIRS = 200
EFFECT_LIMIT = (
    "Hooks on every block, router and expert layer, each called once, in prefill. Tensors that the "
    "hooks see are kept until the request is over. The cost is the same for short and long "
    "requests."
)
CLOSURE_LIMIT = "Two clocks, which are read one after the other."


def rows(bench: Bench) -> list[Row]:
    """Effect of the marks and closure of the stages, for both workloads."""
    vlm = load_vlm(bench.params.model)
    with no_search_through_the_model():
        pairs = [_rows(bench, vlm, workload) for workload in WORKLOADS]
    return [row for of_both in zip(*pairs, strict=True) for row in of_both]


def _rows(bench: Bench, vlm: LoadedVlm, workload: Workload) -> tuple[Row, Row]:
    longest = bench.params.profile.max_new_tokens.of(workload)
    requests = bench.requests(workload, bench.n(N_PAIRS))
    inputs = [bench.encoded(vlm, workload, request) for request in requests]
    residuals = np.empty(len(inputs))

    def marked(i: int) -> float:
        timed = timed_with_marks(vlm, inputs[i], longest)
        explained = sum((timed.stages or {}).values())
        residuals[i] = 100 * abs(timed.elapsed.ms - explained) / timed.elapsed.ms
        return timed.elapsed.ms

    def alone(i: int) -> float:
        return timed_alone(vlm, inputs[i], longest).elapsed.ms

    ms = interleaved({"marked": marked, "alone": alone}, len(inputs), bench.rng, n_warm=3)
    effect = median_estimate(ms["marked"] / ms["alone"], bench.rng)
    compared = f"latency with marks / latency without marks: {NAMES[workload]}"
    left = f"median share of latency that is in no stage: {NAMES[workload]}"
    return (
        Row(EFFECT, compared, effect, EFFECT_AIM, EFFECT_LIMIT),
        Row(CLOSURE, left, median_estimate(residuals, bench.rng), CLOSURE_AIM, CLOSURE_LIMIT, "%"),
    )
