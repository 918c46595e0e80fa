"""Measure the cost of a sweep's requests by both protocols in turn, and the work done only once."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.progress import track
from transformers import DynamicCache

from benchmarks.bench import Bench
from benchmarks.greedy_loop import generate
from benchmarks.protocols import CellCosts, Costs, Sweep, counts
from benchmarks.ratios import interleaved
from m1.profiling.facts.gather import gather_facts
from m1.profiling.journal.folder import Journals
from m1.profiling.journal.journal import Journal, journal_key
from m1.profiling.run import Profiler, no_search_through_the_model
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.request import OutputLimit, measure
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import Setting, decode_passes
from m1.vlm.at_setting import AtSetting
from m1.vlm.batching import answer_in_batches
from m1.vlm.engine import Generation, text_of
from m1.vlm.loading.block_importance import calibrated
from m1.vlm.loading.load import load_vlm
from m1.vlm.model import LoadedVlm

N_REQUESTS = 6
N_STARTS = 3
LOAD = (
    "import sys; from m1.params import ModelParams; from m1.vlm.loading.load import load_vlm; "
    "load_vlm(ModelParams.model_validate_json(sys.argv[1]))"
)


def measured_sweep(bench: Bench) -> Sweep:
    """Counts and costs of both protocols."""
    p = bench.params
    vlm = calibrated(load_vlm(p.model), p.knobs, bench.prepared)
    with tempfile.TemporaryDirectory() as folder, no_search_through_the_model():
        key = journal_key(vlm, bench.prepared, p.model, p.knobs, p.profile)
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
        """Measure the costs in every cell. The cells come in random order."""
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
        profile, request = self.bench.params.profile, self.bench.prepared[self.workload].requests[i]
        mode = decode_passes(profile.decode_mode)[0]
        limit = OutputLimit(mode, profile.max_new_tokens.of(self.workload))
        planned = Planned(request, order=i)
        one = Round("e2", 0, self.workload, setting, mode, (planned,))
        prepared = self.bench.prepared[self.workload]
        self.journal.add(measure(self.vlm, planned, one, prepared, limit).row)

    def _naive(self, setting: Setting, i: int) -> None:
        request = self.bench.prepared[self.workload].requests[i]
        inputs = self.bench.encoded(self.vlm, self.workload, request, setting.vision_tokens)
        longest = self.bench.params.profile.max_new_tokens.of(self.workload)
        with AtSetting(self.vlm, setting).turned():
            tokens = generate(self.vlm, inputs, longest)
        text_of(self.vlm, Generation(tokens, "stop", DynamicCache()))

    def _batch(self, setting: Setting) -> tuple[float, float]:
        """Seconds per request for encoding and for answering, in one batch."""
        params, longest = self.bench.params, self.bench.params.profile.max_new_tokens
        size = min(params.quality.batch_size, params.quality.n_requests.of(self.workload))
        started = perf_counter()
        inputs = [
            self.bench.encoded(self.vlm, self.workload, request, setting.vision_tokens)
            for request in self.bench.requests(self.workload, size)
        ]
        encoded = perf_counter()
        with AtSetting(self.vlm, setting).turned():
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
    """Seconds of the work that the profile stage does once, before it measures."""
    grid = bench.params.knobs.grid()
    profiler = Profiler(vlm, bench.prepared, grid, bench.params.profile)

    def once() -> None:
        profiler.check_and_reserve()
        gather_facts(vlm, bench.prepared, grid)

    return _seconds(once)
