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

    def run(self, warmup_tolerance: float) -> tuple[list[MeasuredRequest], Circumstances]:
        """Measure everything.

        Returns:
            The rows in the order of measurement, and what was seen beside them.

        Raises:
            UserError: if the model cannot take a setting of the grid, or its weights are not on
                one device.
        """
        refuse_mixed_devices(self._devices())
        self.check_grid()
        requests = {workload: one.requests for workload, one in self.sets.items()}
        rounds = plan(self.params, self.grid, requests)
        with ProfileProgress(rounds) as progress, no_search_through_the_model():
            progress.note("warming up")
            warmup = self.warm_up(warmup_tolerance)
            progress.begin()
            watch = MachineWatch(self.vlm.device)
            rows = self._measure_rounds(rounds, progress, watch.look)
        return rows, Circumstances(warmup, watch.state(), self._devices())

    def check_grid(self) -> None:
        """Refuse settings that the model cannot take, before anything is measured."""
        for setting in self.grid:
            with applied(self.vlm.structure, setting):
                pass
        check_visual_tokens(self.vlm, self.grid, self._sizes())

    def _sizes(self) -> list[tuple[int, int]]:
        """Sizes of the images of all requests that will be measured, the commonest first."""
        params = self.params
        plans = (
            params.e1_requests,
            params.e2_requests,
            params.observer_requests,
            params.repeat_requests,
        )
        images = {
            self.folders[workload] / request.image
            for workload in WORKLOADS
            for wanted in plans
            for request in self.sets[workload].requests[: wanted.of(workload)]
        }
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
        return [
            Round("e1", 0, w, setting, tuple(map(Planned, self.sets[w].requests[:n])))
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
            limit = OutputLimit(self.decode_mode, self.params.max_new_tokens.of(one.workload))
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
