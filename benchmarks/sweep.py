"""The cost of a sweep by our protocol and by the naive protocol: measured costs times counts."""

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
from m1.schemas.requests import WORKLOADS
from m1.schemas.results.estimates import Estimate

GROUP = "4. Cost of a sweep"
COST_AIM, WIDTH_AIM = Aim(5.0, at_most=False), Aim(1.0)
COST_LIMIT = (
    "Single requests, which both protocols need for latency. Ours also has results that the naive "
    "protocol lacks: E1, the check of the marks and repeats."
)
AS_FEW = "if the naive protocol times as few requests as ours"
AS_FEW_LIMIT = "On a quiet machine its intervals are then about as wide as ours."
GRID_LIMIT = (
    "On this model, batches make questions only a little faster: one prompt keeps a core busy."
)
QUIET_LIMIT = "The naive protocol times all requests that it scores. Ours times a smaller sample."
SPELL_LIMIT = "A setting that is measured in one go is as slow as the machine at that time."


def rows(bench: Bench) -> list[Row]:
    """Cost of both protocols, whole and for the grid alone, and widths of intervals."""
    sweep = measured_sweep(bench)

    def found(statistic: Callable[[NDArray[np.intp]], float]) -> Estimate:
        return bootstrapped(bench.n(N_REQUESTS), statistic, bench.rng)

    whole = found(lambda drawn: sweep.naive(drawn) / sweep.ours(drawn))
    grid = found(lambda drawn: sweep.naive(drawn) / sweep.ours(drawn, whole=False))
    as_few = found(lambda drawn: sweep.naive(drawn, as_few=True) / sweep.ours(drawn, whole=False))
    naive_min = found(lambda drawn: sweep.naive(drawn) / 60)
    ours_min = found(lambda drawn: sweep.ours(drawn) / 60)
    return [
        Row(GROUP, "time of the naive protocol", naive_min, unit="min"),
        Row(GROUP, "time of our protocol, both stages", ours_min, unit="min"),
        Row(GROUP, "time of naive / ours, both stages", whole, COST_AIM, COST_LIMIT),
        Row(GROUP, "time of naive / ours, only the grid", grid, COST_AIM, GRID_LIMIT),
        Row(GROUP, f"the same, {AS_FEW}", as_few, COST_AIM, AS_FEW_LIMIT),
        *_width_rows(bench),
    ]


def _width_rows(bench: Bench) -> list[Row]:
    compared = "width of intervals of a setting's median latency, ours / naive, {}"
    quiet, spells = (width_ratio(bench, spell) for spell in (0.0, SPELL))
    return [
        Row(GROUP, compared.format("no slow spells"), quiet, WIDTH_AIM, QUIET_LIMIT),
        Row(GROUP, compared.format("with slow spells"), spells, WIDTH_AIM, SPELL_LIMIT),
    ]


def remark(bench: Bench) -> str:
    """How the sweep was counted."""
    p = bench.params
    numbers = {w: counts(w, p.knobs, p.profile, p.quality) for w in WORKLOADS}
    each = " and ".join(
        f"{one.scored} {NAMES[w]} (our protocol times {one.swept})" for w, one in numbers.items()
    )
    beside = " and ".join(f"{one.at_reference} {NAMES[w]}" for w, one in numbers.items())
    n_settings = numbers["qa"].n_settings
    return (
        f"**The sweep** has {n_settings} settings. Each setting has {each}. Neither protocol is "
        f"run as a whole. Instead, in every cell both protocols run {bench.n(N_REQUESTS)} requests "
        f"in turn, and one batch of {p.quality.batch_size} is answered. These costs are multiplied "
        "by the counts that follow from `params.yaml`. The naive protocol starts a process for "
        f"each setting and warms up with {NAIVE_WARM_UP} requests of each workload. It runs each "
        f"request {NAIVE_REPEATS} times, and once more for its quality, at batch size 1 with "
        "`generate`. "
        "Our protocol is the profile stage and the answers stage. The profile stage includes "
        f"{beside} more at the reference setting, a warm-up of two windows, facts and the journal. "
        "Widths come from made-up runs (`benchmarks/worlds.py`) with the counts of questions. A "
        "width is that of the range which contains 95 % of the medians of such runs. The median of "
        f"{NAIVE_REPEATS} repeats is assumed to have the noise of their mean."
    )
