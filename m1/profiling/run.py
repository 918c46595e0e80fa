"""A whole profile run: check the grid, warm up, measure every round of the plan."""

import gc
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from time import monotonic

from m1.params import ProfileParams, effective_decode_mode
from m1.plain_text import tell
from m1.prepared import Prepared, PreparedRequests
from m1.profiling.checks.judge import Circumstances
from m1.profiling.checks.machine import refuse_mixed_devices
from m1.profiling.interruptions import Undisturbed
from m1.profiling.journal.journal import Journal
from m1.profiling.machine.watch import MachineWatch
from m1.profiling.measured_cells import MeasuredCells
from m1.profiling.progress import ProfileProgress
from m1.profiling.schedule import Planned, Round, one_of_each_shape, plan
from m1.profiling.timing.request import Attempt, OutputLimit, measure
from m1.profiling.warmup import WarmUp, WarmUpProgress, Window, warm_up
from m1.schemas.profile import FailedCell, MeasuredRequest
from m1.schemas.requests import WORKLOADS, Request, Workload
from m1.schemas.settings import (
    NATIVE,
    DecodeModeChoice,
    GraphedModule,
    GraphExtent,
    Setting,
    decode_passes,
)
from m1.vlm.at_setting import AtSetting
from m1.vlm.end_tokens import refuse_endless
from m1.vlm.knobs.check import check_knobs
from m1.vlm.model import LoadedVlm
from m1.vlm.pictures import Picture, pictures_of
from m1.vlm.runtime.compiled import CompiledRuntime
from m1.vlm.runtime.shapes import shape_of

Measure = Callable[[LoadedVlm, Planned, Round, PreparedRequests, OutputLimit], Attempt]

OneRequest = Callable[[], AbstractContextManager[None]]
"""A context around each request and its line in the journal."""


@contextmanager
def no_search_through_the_model() -> Iterator[None]:
    """Exclude all present objects from garbage collection, which would pause requests."""
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
    """What was seen besides the rows."""
    duration_s: float
    """Wall time of measuring, without the pauses of an interrupted run."""


@dataclass(frozen=True)
class Profiler:
    """Measures the requests of both workloads over a grid of settings."""

    vlm: LoadedVlm
    prepared: Prepared
    grid: tuple[Setting, ...]
    """All settings, the reference first."""
    params: ProfileParams
    measure: Measure = measure
    """Measures one request."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The grid, and the native setting of the anchors."""
        return tuple(dict.fromkeys((*self.grid, NATIVE)))

    @property
    def decode_mode(self) -> DecodeModeChoice:
        """When outputs end."""
        return effective_decode_mode(self.vlm.weights, self.params.decode_mode)

    @property
    def prompt_graphs(self) -> dict[GraphedModule, GraphExtent] | None:
        """The part of a prompt that ran as recorded graphs; `None` if prompts are not recorded."""
        runtime = self.vlm.runtime
        recorded = runtime.prompts if isinstance(runtime, CompiledRuntime) else None
        return recorded.extents if recorded else None

    def run(
        self,
        warmup_tolerance: float,
        journal: Journal,
        one_request: OneRequest = nullcontext,
    ) -> Measured | None:
        """Measure what a process measures and is not in the journal yet.

        This is the first process of the plan that has something left.

        Args:
            warmup_tolerance: relative difference at which two windows of warm-up agree.
            journal: journal of this run; every row is in it before the next request begins.
            one_request: a context around every request that counts and its line in the journal.

        Returns:
            The whole run; `None` if other processes have something left.

        Raises:
            UserError: if the reference setting cannot be measured.
        """
        rounds = self._plan()
        undisturbed = Undisturbed(journal, self._measure, on_gpu=self.vlm.device.type != "cpu")
        cells = MeasuredCells(journal, rounds, self.grid[0], undisturbed.measure)
        all_left = [round_ for round_ in _left_of(rounds, journal) if not cells.failed(round_)]
        process = all_left[0].process if all_left else self.params.n_processes - 1
        left = [round_ for round_ in all_left if round_.process == process]
        progress = ProfileProgress(all_left)
        with no_search_through_the_model():
            if process in [warm.process for warm in journal.warm_ups]:
                progress.note(f"resuming: {len(journal.rows)} requests were measured before")
            elif self.params.n_processes > 1:
                progress.note(f"process {process + 1} of {self.params.n_processes}")
            if left:
                self.record_prompts(left, cells)
                warm = self.warm_up(
                    warmup_tolerance, cells, lambda: monotonic() - undisturbed.lost_s
                )
                journal.warm(warm, process)
            with progress:
                progress.begin()
                watch = MachineWatch(self.vlm.device, earlier=journal.looks, on_look=journal.look)
                _measure_rounds(left, cells, watch, progress, one_request)
        if any(round_.process > process for round_ in all_left):
            return None
        return self._measured(journal, cells, watch)

    def _plan(self) -> list[Round]:
        requests = {workload: part.requests for workload, part in self.prepared.items()}
        return plan(self.params, self.grid, requests, decode_passes(self.decode_mode))

    def _measured(self, journal: Journal, cells: MeasuredCells, watch: MachineWatch) -> Measured:
        worst = max(journal.warm_ups, key=lambda warm: abs(warm.change))
        left_out = cells.left_out()
        return Measured(
            rows=[row for order, row in sorted(journal.rows.items()) if order not in left_out],
            failed=journal.failed,
            seen=Circumstances(
                WarmUp(worst.change, worst.n_windows), watch.state(), journal.interruptions
            ),
            duration_s=watch.duration_s,
        )

    def check_and_reserve(self) -> None:
        """Check that the model supports every setting and request; reserve room for the longest.

        Raises:
            UserError: if the model does not support one of them, if its weights are on several
                devices, or if outputs should end by themselves and no end token is known.
        """
        tell("checking every setting and image")
        refuse_mixed_devices(self._devices())
        if "free" in decode_passes(self.decode_mode):
            refuse_endless(self.vlm.end_tokens)
        self.check_grid()
        if isinstance(self.vlm.runtime, CompiledRuntime):
            self.vlm.runtime.make_room(max(self._lengths()))

    def _lengths(self) -> Iterator[int]:
        """The largest number of positions of every request that will be measured."""
        longest = [AtSetting(self.vlm, setting) for setting in (self.grid[0], NATIVE)]
        for (workload, request), at in product(self._planned(), longest):
            n = self.params.max_new_tokens.of(workload)
            limits = [OutputLimit(mode, n) for mode in decode_passes(self.decode_mode)]
            inputs = at.encode_request(self.prepared[workload], request)
            n_output = max(limit.of(self.vlm, request) for limit in limits)
            yield inputs["input_ids"].shape[1] + n_output

    def _planned(self) -> Iterator[tuple[Workload, Request]]:
        """The requests that will be measured."""
        for workload in WORKLOADS:
            n = self.params.most_requests(workload)
            yield from ((workload, request) for request in self.prepared[workload].requests[:n])

    def check_grid(self) -> None:
        """Refuse settings that the model does not support, before anything is measured."""
        check_knobs(self.vlm, self.settings, self._pictures())

    def _pictures(self) -> list[Picture]:
        """The pictures of all requests that will be measured."""
        return pictures_of(self.prepared, self._planned())

    def record_prompts(self, rounds: Sequence[Round], cells: MeasuredCells) -> None:
        """Run one request of each shape in the plan, if prompts are recorded by shape."""
        runtime = self.vlm.runtime
        if isinstance(runtime, CompiledRuntime) and runtime.recorder:
            tell("recording prompts, one of each shape")
            self._run_quietly(one_of_each_shape(rounds, self._shape), cells)

    def _shape(self, round_: Round, request: Request) -> Hashable:
        """The shape of a request at the setting of a round. Equal shapes share a recording."""
        at = AtSetting(self.vlm, round_.setting)
        inputs = at.encode_request(self.prepared[round_.workload], request)
        return tuple((name, shape_of(tensor)) for name, tensor in sorted(inputs.items()))

    def warm_up(
        self, tolerance: float, cells: MeasuredCells, now: Callable[[], float] = monotonic
    ) -> WarmUp:
        """Repeat every setting of both workloads until two windows agree."""
        rounds = [round_ for setting in self.settings for round_ in self._sample(setting)]
        with WarmUpProgress(self.params.warmup_limit) as progress:
            return warm_up(
                lambda: self._run_quietly(rounds, cells, progress.request_done),
                tolerance,
                Window(self.params.warmup_window, self.params.warmup_s),
                self.params.warmup_limit,
                now,
                progress.window_done,
            )

    def _sample(self, setting: Setting) -> list[Round]:
        """The first request of each workload at a setting."""
        mode = decode_passes(self.decode_mode)[0]
        return [
            Round("e2", 0, w, setting, mode, (Planned(self.prepared[w].requests[0]),))
            for w in WORKLOADS
        ]

    def _run_quietly(
        self,
        rounds: Sequence[Round],
        cells: MeasuredCells,
        request_done: Callable[[], object] = lambda: None,
    ) -> list[float]:
        """Run rounds that do not count; return their times in ms, with NaN for failed cells."""
        times_ms = []
        for round_, planned in [(each, planned) for each in rounds for planned in each.planned]:
            row = None if cells.failed(round_) else cells.attempt(round_, planned)
            times_ms.append(row.total_ms if row else math.nan)
            request_done()
        return times_ms

    def _measure(self, round_: Round, planned: Planned) -> Attempt:
        limit = OutputLimit(round_.decode_mode, self.params.max_new_tokens.of(round_.workload))
        return self.measure(self.vlm, planned, round_, self.prepared[round_.workload], limit)

    def _devices(self) -> tuple[str, ...]:
        return tuple(sorted({str(p.device) for p in self.vlm.model.parameters()}))


def _left_of(rounds: Sequence[Round], journal: Journal) -> list[Round]:
    """The part of a plan that the journal does not hold yet."""
    done = journal.rows
    left = [
        replace(round_, planned=tuple(each for each in round_.planned if each.order not in done))
        for round_ in rounds
    ]
    return [round_ for round_ in left if round_.planned]


def _measure_rounds(
    rounds: Sequence[Round],
    cells: MeasuredCells,
    watch: MachineWatch,
    progress: ProfileProgress,
    one_request: OneRequest,
) -> None:
    """Measure rounds in their order; skip cells that fail."""
    for round_ in rounds:
        for n_done, planned in enumerate(round_.planned):
            if cells.failed(round_):
                progress.round_dropped(round_, len(round_.planned) - n_done)
                break
            with one_request():
                row = cells.measure_and_write(round_, planned)
                if row:
                    watch.look()
                    progress.request_done(round_, row)
        progress.round_done(round_)
