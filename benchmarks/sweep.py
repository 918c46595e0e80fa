"""The cost of a sweep by our protocol and by the naive one: costs are measured, counts multiply."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Bench
from benchmarks.greedy_loop import NAMES
from benchmarks.protocols import NAIVE_REPEATS, NAIVE_WARM_UP, counts
from benchmarks.ratios import bootstrapped
from benchmarks.row import Aim, Row
from benchmarks.sweep_costs import N_REQUESTS, measured_sweep
from benchmarks.widths import SPELL, width_ratio
from m1.schemas.estimates import Estimate
from m1.schemas.requests import WORKLOADS

GROUP = "4. Cost of a sweep"
COST_AIM, WIDTH_AIM = Aim(5.0, at_most=False), Aim(1.0)
COST_LIMIT = (
    "Single requests, which latency takes in both; of ours, E1, the check of the marks and repeats "
    "are results that the naive protocol does not have."
)
AS_FEW = "the naive protocol timing as few requests as ours"
AS_FEW_LIMIT = "Its intervals are then about as wide as ours on a quiet machine."
GRID_LIMIT = "On this model batches make questions little faster: the prompt keeps a core busy."
QUIET_LIMIT = "The naive protocol times all requests that it scores; ours times a smaller sample."
SPELL_LIMIT = "A setting measured in one go is as slow as the machine is in that time."


def rows(bench: Bench) -> list[Row]:
    """Cost of whole protocols and of the grid alone, and widths of intervals."""
    sweep = measured_sweep(bench)

    def found(statistic: Callable[[NDArray[np.intp]], float]) -> Estimate:
        return bootstrapped(bench.n(N_REQUESTS), statistic, bench.rng)

    whole = found(lambda drawn: sweep.naive(drawn) / sweep.ours(drawn))
    grid = found(lambda drawn: sweep.naive(drawn) / sweep.ours(drawn, whole=False))
    as_few = found(lambda drawn: sweep.naive(drawn, as_few=True) / sweep.ours(drawn, whole=False))
    naive_min = found(lambda drawn: sweep.naive(drawn) / 60)
    ours_min = found(lambda drawn: sweep.ours(drawn) / 60)
    return [
        Row(GROUP, "the naive protocol", naive_min, unit="min"),
        Row(GROUP, "ours, all of both stages", ours_min, unit="min"),
        Row(GROUP, "naive over ours, all of both stages", whole, COST_AIM, COST_LIMIT),
        Row(GROUP, "naive over ours, the grid alone", grid, COST_AIM, GRID_LIMIT),
        Row(GROUP, f"the same, {AS_FEW}", as_few, COST_AIM, AS_FEW_LIMIT),
        *_width_rows(bench),
    ]


def _width_rows(bench: Bench) -> list[Row]:
    compared = "width of intervals of a setting's median latency, ours over naive, {}"
    quiet, spells = (width_ratio(bench, spell) for spell in (0.0, SPELL))
    return [
        Row(GROUP, compared.format("no slow spells"), quiet, WIDTH_AIM, QUIET_LIMIT),
        Row(GROUP, compared.format("slow spells"), spells, WIDTH_AIM, SPELL_LIMIT),
    ]


def remark(bench: Bench) -> str:
    """How the sweep was counted."""
    p = bench.params
    numbers = {w: counts(w, p.knobs, p.profile, p.quality) for w in WORKLOADS}
    each = " and ".join(
        f"{one.scored} {NAMES[w]} ({one.swept} timed by ours)" for w, one in numbers.items()
    )
    beside = " and ".join(f"{one.at_reference} {NAMES[w]}" for w, one in numbers.items())
    n_settings = numbers["qa"].n_settings
    return (
        f"**The sweep** has {n_settings} settings, at each {each}. Neither protocol is run whole: "
        f"in every cell {bench.n(N_REQUESTS)} requests are run by both in turn and one batch of "
        f"{p.quality.batch_size} is answered, and the counts that `params.yaml` asks for multiply. "
        f"The naive protocol starts a process for each setting, warms up with {NAIVE_WARM_UP} "
        f"requests of each workload, and runs each request {NAIVE_REPEATS} times and once more for "
        "its quality, at batch size 1 by `generate`. Ours is the profile stage with "
        f"{beside} at the reference setting beside, warm-up of two windows, facts and journal, and "
        "the answers stage. Widths are from made-up runs (`benchmarks/worlds.py`) with the counts "
        "of questions: the range that holds 95 % of the medians that runs find. The median of "
        f"{NAIVE_REPEATS} repeats is taken to have the noise of their mean."
    )
