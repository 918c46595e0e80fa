"""A profile run with made-up requests, so that hundreds of them take no time."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from simulated import World, simulate_requests, simulate_rows
from test_profiling_schedule import params
from whole_run import ROOT

from m1.params import load_params
from m1.prepared import PreparedRequests
from m1.profiling.journal.entries import JournalKey
from m1.profiling.journal.folder import Journals
from m1.profiling.journal.journal import Journal
from m1.profiling.run import Measured, OneRequest, Profiler
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.request import Attempt
from m1.profiling.timing.standstill import Elapsed
from m1.schemas.profile import MeasuredRequest
from m1.schemas.requests import WORKLOADS
from m1.vlm.model import LoadedVlm

WORLD = World(vision_tokens=(144, 16), top_k=(4,), active_blocks=(8, 4))
(TEMPLATE, *_) = simulate_rows(0, WORLD)
Before = Callable[[Round, Planned], object]


def key(**changes: Any) -> JournalKey:
    """A key, with entries replaced."""
    sections = load_params(ROOT / "params.yaml")
    fields: dict[str, Any] = {
        "origin": {"model_fingerprint": "0"},
        "device": "cpu",
        "model": sections.model.model_dump(mode="json"),
        "knobs": sections.knobs.model_dump(mode="json"),
        "profile": sections.profile.model_dump(mode="json"),
        "kept_blocks": {},
        "code": "0",
    }
    return JournalKey(**fields | changes)


def undisturbed(row: MeasuredRequest) -> Attempt:
    """An attempt that nothing interrupted."""
    return Attempt(row, Elapsed(row.preprocess_ms), Elapsed(row.total_ms))


class FakedRun:
    """Runs of one plan with one folder of journals. Requests are copies of a template."""

    def __init__(
        self, vlm: LoadedVlm, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
    ) -> None:
        prepared = {w: PreparedRequests(simulate_requests(w, WORLD), folder) for w in WORKLOADS}
        # Made-up requests take no time: a window that had to last would have many thousands.
        self.folder, self.params = folder, params(warmup_s=1e-9, **changes)
        self.profiler = Profiler(vlm, prepared, WORLD.grid, self.params, self.measure)
        self.before: Before = lambda one, planned: None
        self.attempted: Callable[[MeasuredRequest], Attempt] = undisturbed
        self.begun: list[int] = []
        self.warmed: list[Round] = []
        monkeypatch.setattr(Profiler, "check_grid", lambda _: None)

    def measure(self, _: object, planned: Planned, one: Round, *__: object) -> Attempt:
        if planned.order < 0:
            self.warmed.append(one)
        else:
            self.begun.append(planned.order)
        self.before(one, planned)
        row = TEMPLATE.model_copy(
            update={
                "experiment": one.experiment,
                "workload": one.workload,
                "request_id": planned.request.request_id,
                "order": planned.order,
                "decode_mode": one.decode_mode,
                **one.setting.model_dump(),
            }
        )
        return self.attempted(row)

    @property
    def n_planned(self) -> int:
        return sum(len(one.planned) for one in self.profiler._plan())

    def go(self, one_request: OneRequest = nullcontext, **changes: Any) -> Measured:
        """Run or resume, until the end or until `before` raises an error."""
        with self.open(**changes) as journal:
            return self.profiler.run(0.1, journal, one_request)

    def open(self, **changes: Any) -> Journal:
        """The journal of the run."""
        return Journals(self.folder, self.folder.parent).open(key(**changes))

    def journal(self) -> Path:
        (path,) = self.folder.iterdir()
        return path


def raising(error: BaseException, at: Callable[[Round, Planned], bool]) -> Before:
    """Raise an error at the given requests."""

    def before(one: Round, planned: Planned) -> None:
        if at(one, planned):
            raise error

    return before


def orders(rows: Sequence[MeasuredRequest]) -> list[int]:
    return [row.order for row in rows]
