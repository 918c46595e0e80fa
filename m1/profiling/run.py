"""A whole profile run: check the grid, warm up, measure every round of the plan."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from m1.params import ProfileParams, effective_decode_mode
from m1.profiling.failures import Failures
from m1.profiling.journal import Journal
from m1.profiling.lasting_watch import LastingWatch
from m1.profiling.measure import OutputLimit, measure
from m1.profiling.progress import ProfileProgress
from m1.profiling.rounds import OneRequest, left_of, measure_rounds
from m1.profiling.schedule import Planned, Round, plan
from m1.profiling.validity import Circumstances
from m1.profiling.warmup import warm_up
from m1.schemas.profile import FailedCell, MeasuredRequest
from m1.schemas.requests import WORKLOADS, RequestSet, Workload
from m1.schemas.settings import DecodeMode, Setting
from m1.vlm.encoding import check_visual_tokens
from m1.vlm.images import open_image
from m1.vlm.knobs import applied
from m1.vlm.loaded import LoadedVlm


@contextmanager
def no_search_through_the_model() -> Iterator[None]:
    """Take what is alive now out of garbage collection, which would stop requests to walk it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class Measured:
    """A finished run."""

    rows: list[MeasuredRequest]
    """The rows of whole cells, in the order of measurement."""
    failed: tuple[FailedCell, ...]
    """The cells that could not be measured."""
    seen: Circumstances
    """What was seen beside the rows."""
    duration_s: float
    """Wall time of measuring, without the pauses of an interrupted run."""


@dataclass(frozen=True)
class Profiler:
    """Measures the requests of both workloads over a grid of settings."""

    vlm: LoadedVlm
    sets: dict[Workload, RequestSet]
    folders: dict[Workload, Path]
    """Where each workload's images are."""
    grid: tuple[Setting, ...]
    """All settings, the reference first."""
    params: ProfileParams

    @property
    def decode_mode(self) -> DecodeMode:
        """When outputs end."""
        return effective_decode_mode(self.vlm.weights, self.params.decode_mode)

    def run(
        self,
        warmup_tolerance: float,
        journal: Journal,
        one_request: OneRequest = nullcontext,
    ) -> Measured:
        """Measure everything that the journal does not hold yet.

        Args:
            warmup_tolerance: relative difference at which two windows of warm-up agree.
            journal: of this run; every row is in it before the next request begins.
            one_request: opened around every request that counts, and its line in the journal.

        Raises:
            UserError: if the model cannot take a setting of the grid, or the reference setting
                cannot be measured.
        """
        self.check_grid()
        rounds = self._plan()
        left = left_of(rounds, journal)
        failures = Failures(journal, rounds, self.grid[0], self._measure)
        with ProfileProgress(left) as progress, no_search_through_the_model():
            if journal.rows:
                progress.note(f"going on: {len(journal.rows)} requests were measured before")
            if left:
                progress.note("warming up")
                journal.warm(self.warm_up(warmup_tolerance, failures))
            progress.begin()
            watch = LastingWatch(self.vlm.device, journal)
            measure_rounds(left, failures, watch, progress, one_request)
        return self._measured(journal, failures, watch)

    def _plan(self) -> list[Round]:
        requests = {workload: one.requests for workload, one in self.sets.items()}
        return plan(self.params, self.grid, requests)

    def _measured(self, journal: Journal, failures: Failures, watch: LastingWatch) -> Measured:
        change = max((warm.change for warm in journal.warm_ups), key=abs)
        left_out = failures.left_out()
        return Measured(
            rows=[row for order, row in sorted(journal.rows.items()) if order not in left_out],
            failed=journal.failed,
            seen=Circumstances(change, watch.state(), self._devices()),
            duration_s=watch.duration_s,
        )

    def check_grid(self) -> None:
        """Refuse settings that the model cannot take, before anything is measured."""
        for setting in self.grid:
            with applied(self.vlm.structure, setting):
                pass
        check_visual_tokens(self.vlm, self.grid, self._sizes())

    def _sizes(self) -> list[tuple[int, int]]:
        """Sizes of the images of all requests that will be measured, the commonest first."""
        plans = (self.params.e1_requests, self.params.e2_requests, self.params.observer_requests)
        images = {
            self.folders[workload] / request.image
            for workload in WORKLOADS
            for wanted in plans
            for request in self.sets[workload].requests[: wanted.of(workload)]
        }
        counted = Counter(open_image(path).size for path in sorted(images))
        return [size for size, _ in counted.most_common()]

    def warm_up(self, tolerance: float, failures: Failures) -> float:
        """Run every setting once, then the reference until two windows agree."""
        for setting in self.grid:
            self._run_quietly(self._sample(setting, 1), failures)
        window = self._sample(self.grid[0], self.params.warmup_window // 2)
        return warm_up(
            lambda: self._run_quietly(window, failures), tolerance, self.params.warmup_limit
        )

    def _sample(self, setting: Setting, n: int) -> list[Round]:
        """The first n requests of each workload at a setting."""
        return [
            Round("e2", 0, w, setting, tuple(map(Planned, self.sets[w].requests[:n])))
            for w in WORKLOADS
        ]

    def _run_quietly(self, rounds: Sequence[Round], failures: Failures) -> float:
        """Run rounds that do not count; their time in ms."""
        rows = [
            failures.attempt(one, planned)
            for one in rounds
            for planned in one.planned
            if not failures.has(one)
        ]
        return sum(row.total_ms for row in rows if row)

    def _measure(self, one: Round, planned: Planned) -> MeasuredRequest:
        limit = OutputLimit(self.decode_mode, self.params.max_new_tokens.of(one.workload))
        return measure(self.vlm, planned, one, planned.order, self.folders[one.workload], limit)

    def _devices(self) -> tuple[str, ...]:
        return tuple(sorted({str(p.device) for p in self.vlm.model.parameters()}))
