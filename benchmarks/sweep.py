"""The cost of a sweep by our protocol and by the naive one: costs are measured, counts multiply."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from transformers import DynamicCache

from benchmarks.bench import Bench
from benchmarks.greedy_loop import NAMES, generate
from benchmarks.protocols import NAIVE_REPEATS, NAIVE_WARM_UP, CellCosts, Costs, Sweep, counts
from benchmarks.ratios import bootstrapped, interleaved
from benchmarks.row import Aim, Row
from benchmarks.widths import SPELL, width_ratio
from m1.profiling.facts import gather_facts
from m1.profiling.journal import Journal, journal_key
from m1.profiling.journals import Journals
from m1.profiling.measure import OutputLimit, measure
from m1.profiling.run import Profiler, no_search_through_the_model
from m1.profiling.schedule import Planned, Round
from m1.schemas.estimates import Estimate
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import Setting, decode_passes
from m1.vlm.batching import answer_in_batches
from m1.vlm.calibration import calibrated
from m1.vlm.engine import Generation, text_of
from m1.vlm.knobs import applied
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading import load_vlm

GROUP = "4. Cost of a sweep"
COST_AIM, WIDTH_AIM = Aim(5.0, at_most=False), Aim(1.0)
N_REQUESTS = 6
N_STARTS = 3
LOAD = (
    "import sys; from m1.params import ModelParams; from m1.vlm.loading import load_vlm; "
    "load_vlm(ModelParams.model_validate_json(sys.argv[1]))"
)
COST_LIMIT = (
    "Single requests, which latency takes in both; of ours, E1, the check of the marks and repeats "
    "are results that the naive protocol does not have."
)
AS_FEW = "the naive protocol timing as few requests as ours"
AS_FEW_LIMIT = "Its intervals are then as wide as ours on a quiet machine."
GRID_LIMIT = "On this model batches make questions little faster: the prompt keeps a core busy."
QUIET_LIMIT = "The naive sample of latency is as large as that of quality."
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


def remarks(bench: Bench) -> str:
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


def measured_sweep(bench: Bench) -> Sweep:
    """Counts and costs of both protocols."""
    p = bench.params
    vlm = calibrated(load_vlm(p.model), p.knobs, bench.sets, bench.folders)
    with tempfile.TemporaryDirectory() as folder, no_search_through_the_model():
        key = journal_key(vlm, bench.sets, p.model, p.knobs, p.profile)
        with Journals(Path(folder), Path(folder)).open(key) as journal:
            cells = {w: Cells(bench, vlm, journal, w).costs() for w in WORKLOADS}
    costs = Costs(cells, start=_start_s(bench), facts=_facts_s(bench, vlm))
    numbers = {w: counts(w, p.knobs, p.profile, p.quality) for w in WORKLOADS}
    return Sweep(numbers, costs, p.profile)


@dataclass(frozen=True)
class Cells:
    """The cells of one workload."""

    bench: Bench
    vlm: LoadedVlm
    journal: Journal
    workload: Workload

    def costs(self) -> CellCosts:
        """Costs in every cell, the cells in random order."""
        grid = self.bench.params.knobs.grid()
        n = self.bench.n(N_REQUESTS)
        ours, naive = np.empty((n, len(grid))), np.empty((n, len(grid)))
        batched, encoding = np.empty(len(grid)), np.empty(len(grid))
        order = self.bench.rng.permutation(len(grid))
        for column in track(order, description=f"  {self.workload}"):
            ways = self._ways(grid[column])
            seconds = interleaved(ways, n, self.bench.rng)
            ours[:, column], naive[:, column] = seconds["ours"], seconds["naive"]
            encoding[column], batched[column] = self._batch(grid[column])
        return CellCosts(ours, naive, batched, float(encoding.mean()))

    def _ways(self, setting: Setting) -> dict[str, Callable[[int], float]]:
        return {
            "ours": lambda i: _seconds(lambda: self._ours(setting, i)),
            "naive": lambda i: _seconds(lambda: self._naive(setting, i)),
        }

    def _ours(self, setting: Setting, i: int) -> None:
        profile, request = self.bench.params.profile, self.bench.sets[self.workload].requests[i]
        mode = decode_passes(profile.decode_mode)[0]
        limit = OutputLimit(mode, profile.max_new_tokens.of(self.workload))
        planned = Planned(request)
        one = Round("e2", 0, self.workload, setting, mode, (planned,))
        folder = self.bench.folders[self.workload]
        self.journal.add(measure(self.vlm, planned, one, i, folder, limit))

    def _naive(self, setting: Setting, i: int) -> None:
        request = self.bench.sets[self.workload].requests[i]
        inputs = self.bench.encoded(self.vlm, self.workload, request, setting.vision_tokens)
        longest = self.bench.params.profile.max_new_tokens.of(self.workload)
        with applied(self.vlm.structure, setting):
            tokens = generate(self.vlm, inputs, longest)
        text_of(self.vlm, Generation(tokens, "stop", DynamicCache()))

    def _batch(self, setting: Setting) -> tuple[float, float]:
        """Seconds a request of encoding and of answering, in one batch."""
        params, longest = self.bench.params, self.bench.params.profile.max_new_tokens
        size = min(params.quality.batch_size, params.quality.n_requests.of(self.workload))
        started = perf_counter()
        inputs = [
            self.bench.encoded(self.vlm, self.workload, request, setting.vision_tokens)
            for request in self.bench.requests(self.workload, size)
        ]
        encoded = perf_counter()
        with applied(self.vlm.structure, setting):
            answer_in_batches(self.vlm, inputs, longest.of(self.workload), size)
        return (encoded - started) / size, (perf_counter() - encoded) / size


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _start_s(bench: Bench) -> float:
    """Median time from the start of a process until the model is loaded."""
    command = (sys.executable, "-c", LOAD, bench.params.model.model_dump_json())

    def start() -> None:
        subprocess.run(command, check=True, capture_output=True)

    return float(np.median([_seconds(start) for _ in range(N_STARTS)]))


def _facts_s(bench: Bench, vlm: LoadedVlm) -> float:
    """Time of what the profile stage does once before it measures."""
    grid, sets, folders = bench.params.knobs.grid(), dict(bench.sets), dict(bench.folders)
    profiler = Profiler(vlm, sets, folders, grid, bench.params.profile)

    def once() -> None:
        profiler.prepare()
        gather_facts(vlm, sets, folders, grid)

    return _seconds(once)
