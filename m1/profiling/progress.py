"""Progress of a profile run: one bar in a terminal, a line per finished cell elsewhere."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from m1.profiling.schedule import Round
from m1.schemas.profile import MeasuredRequest


class ProfileProgress:
    """Counts requests and cells; shows rate and time left."""

    def __init__(
        self, rounds: Sequence[Round], console: Console | None = None, *, quiet: bool = False
    ) -> None:
        """Count what is to come; `quiet` shows nothing of it."""
        self.console = console or Console(stderr=True, quiet=quiet)
        self.rounds_left = Counter(one.cell for one in rounds)
        self.trial_rounds_left = Counter(one.trial for one in rounds)
        self.n_cells = len(self.rounds_left)
        self.n_requests = sum(len(one.planned) for one in rounds)
        self.latencies: dict[object, list[float]] = {}
        self.n_done = 0
        self.started = monotonic()
        self.bar = Progress(
            TextColumn("profile"),
            BarColumn(),
            TextColumn("{task.fields[cells]} cells, {task.fields[rate]:.0f} requests/s, left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.n_requests, cells=self._cells(), rate=0.0)

    def __enter__(self) -> Self:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self.bar.stop()

    def begin(self) -> None:
        """Start counting time."""
        self.started = monotonic()
        self.bar.reset(self.task)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def request_done(self, one: Round, row: MeasuredRequest) -> None:
        """Count a measured request."""
        self.latencies.setdefault(one.cell, []).append(row.total_ms)
        self.n_done += 1
        self.bar.update(self.task, completed=self.n_done, rate=self._rate())

    def round_done(self, one: Round) -> None:
        """Count a finished round; without a bar, cells and trials are told as they end."""
        self.rounds_left[one.cell] -= 1
        self.trial_rounds_left[one.trial] -= 1
        self.bar.update(self.task, cells=self._cells())
        if self.console.is_terminal:
            return
        if self.rounds_left[one.cell] == 0:
            self.note(self._cell_line(one))
        if self.trial_rounds_left[one.trial] == 0:
            n_trials = len(self.trial_rounds_left)
            self.note(f"trial {one.trial + 1} of {n_trials} done {self._where()}")

    def _cell_line(self, one: Round) -> str:
        experiment, workload, label = one.cell
        times = self.latencies[one.cell]
        what = f"{experiment} {workload} {label}"
        return f"{what}: {len(times)} requests, median {median(times):.1f} ms {self._where()}"

    def _where(self) -> str:
        left_s = (self.n_requests - self.n_done) / self._rate()
        return f"[{self._cells()} cells, {self._rate():.0f} requests/s, {left_s:.0f} s left]"

    def _cells(self) -> str:
        done = sum(1 for left in self.rounds_left.values() if left == 0)
        return f"{done}/{self.n_cells}"

    def _rate(self) -> float:
        return self.n_done / max(monotonic() - self.started, 1e-9)
