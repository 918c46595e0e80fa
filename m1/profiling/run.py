"""A whole profile run: check the grid, warm up, measure every round of the plan."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from m1.params import ProfileParams, effective_decode_mode
from m1.profiling.machine_checks import refuse_mixed_devices
from m1.profiling.measure import OutputLimit, measure
from m1.profiling.progress import ProfileProgress
from m1.profiling.schedule import Planned, Round, plan
from m1.profiling.validity import Circumstances
from m1.profiling.warmup import WarmUp, Window, warm_up
from m1.profiling.watch import MachineWatch
from m1.schemas.profile import MeasuredRequest
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload
from m1.schemas.settings import DecodeModeChoice, Setting, decode_passes
from m1.vlm.compiled import CompiledRuntime
from m1.vlm.encoding import check_visual_tokens, encode
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
    def decode_mode(self) -> DecodeModeChoice:
        """When outputs end."""
        return effective_decode_mode(self.vlm.weights, self.params.decode_mode)

    def run(self, warmup_tolerance: float) -> tuple[list[MeasuredRequest], Circumstances]:
        """Measure everything.

        Returns:
            The rows in the order of measurement, and what was seen beside them.
        """
        requests = {workload: one.requests for workload, one in self.sets.items()}
        rounds = plan(self.params, self.grid, requests, decode_passes(self.decode_mode))
        with ProfileProgress(rounds) as progress, no_search_through_the_model():
            progress.note("warming up")
            warmup = self.warm_up(warmup_tolerance)
            progress.begin()
            watch = MachineWatch(self.vlm.device)
            rows = self._measure_rounds(rounds, progress, watch.look)
        return rows, Circumstances(warmup, watch.state(), self._devices())

    def prepare(self) -> None:
        """See that the model can take every setting and request, and make room for the longest.

        Raises:
            UserError: if it cannot take one, or its weights are not on one device.
        """
        refuse_mixed_devices(self._devices())
        self.check_grid()
        if isinstance(self.vlm.runtime, CompiledRuntime):
            self.vlm.runtime.make_room(max(self._lengths()))

    def _lengths(self) -> Iterator[int]:
        """Positions of every request that will be measured: the most that its output may take."""
        most = self.grid[0].vision_tokens
        for workload, request in self._planned():
            n = self.params.max_new_tokens.of(workload)
            limits = [OutputLimit(mode, n) for mode in decode_passes(self.decode_mode)]
            image = open_image(self.folders[workload] / request.image)
            inputs = encode(self.vlm, image, request.prompt, most)
            n_output = max(limit.of(self.vlm, request) for limit in limits)
            yield inputs["input_ids"].shape[1] + n_output

    def _planned(self) -> Iterator[tuple[Workload, Request]]:
        """The requests that will be measured."""
        p = self.params
        for workload in WORKLOADS:
            plans = (p.e1_requests, p.e2_requests, p.observer_requests, p.repeat_requests)
            n = max(one.of(workload) for one in plans)
            yield from ((workload, request) for request in self.sets[workload].requests[:n])

    def check_grid(self) -> None:
        """Refuse settings that the model cannot take, before anything is measured."""
        for setting in self.grid:
            with applied(self.vlm.structure, setting):
                pass
        check_visual_tokens(self.vlm, self.grid, self._sizes())

    def _sizes(self) -> list[tuple[int, int]]:
        """Sizes of the images of all requests that will be measured, the commonest first."""
        images = {self.folders[workload] / request.image for workload, request in self._planned()}
        counted = Counter(open_image(path).size for path in sorted(images))
        return [size for size, _ in counted.most_common()]

    def warm_up(self, tolerance: float) -> WarmUp:
        """Go through every setting of both workloads until two windows agree."""
        cells = [one for setting in self.grid for one in self._sample(setting, 1)]
        return warm_up(
            lambda: [row.total_ms for row in self._measure_quietly(cells)],
            tolerance,
            Window(self.params.warmup_window, self.params.warmup_s),
            self.params.warmup_limit,
        )

    def _sample(self, setting: Setting, n: int) -> list[Round]:
        """The first n requests of each workload at a setting."""
        mode = decode_passes(self.decode_mode)[0]
        return [
            Round("e1", 0, w, setting, mode, tuple(map(Planned, self.sets[w].requests[:n])))
            for w in WORKLOADS
        ]

    def _measure_quietly(self, rounds: Sequence[Round]) -> list[MeasuredRequest]:
        return self._measure_rounds(rounds, ProfileProgress(rounds, quiet=True))

    def _measure_rounds(
        self,
        rounds: Sequence[Round],
        progress: ProfileProgress,
        after_request: Callable[[], None] = lambda: None,
    ) -> list[MeasuredRequest]:
        rows: list[MeasuredRequest] = []
        for one in rounds:
            limit = OutputLimit(one.decode_mode, self.params.max_new_tokens.of(one.workload))
            for planned in one.planned:
                folder = self.folders[one.workload]
                row = measure(self.vlm, planned, one, len(rows), folder, limit)
                after_request()
                rows.append(row)
                progress.request_done(one, row)
            progress.round_done(one)
        return rows

    def _devices(self) -> tuple[str, ...]:
        return tuple(sorted({str(p.device) for p in self.vlm.model.parameters()}))
