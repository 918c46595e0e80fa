"""Progress of a profile run: one bar in a terminal, a line per finished cell elsewhere."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from m1.profiling.cell import Cell
from m1.profiling.schedule import Round
from m1.progress import CellProgress
from m1.schemas.profile import MeasuredRequest, place_of
from m1.terminal import Terminal


class ProfileProgress(CellProgress):
    """Counts the requests of rounds, and the cells and trials that end with them."""

    def __init__(
        self, rounds: Sequence[Round], console: Terminal | None = None, *, quiet: bool = False
    ) -> None:
        """Count the requests of the plan. With `quiet` no progress is shown."""
        self.rounds_left = Counter(one.cell for one in rounds)
        self.trial_rounds_left = Counter(one.trial for one in rounds)
        self.failed: set[Cell] = set()
        self.latencies: dict[Cell, list[float]] = {}
        n_requests = sum(len(one.planned) for one in rounds)
        super().__init__("profile", n_requests, len(self.rounds_left), console, quiet=quiet)

    def request_done(self, one: Round, row: MeasuredRequest) -> None:
        """Count a measured request."""
        self.latencies.setdefault(one.cell, []).append(row.total_ms)
        self.requests_done()

    def round_dropped(self, one: Round, n_left: int) -> None:
        """Take the rest of a round whose cell failed out of the count."""
        self.failed.add(one.cell)
        self.requests_dropped(n_left)

    def round_done(self, one: Round) -> None:
        """Count a finished round. Without a bar, report cells and trials as they end."""
        self.rounds_left[one.cell] -= 1
        self.trial_rounds_left[one.trial] -= 1
        if self.rounds_left[one.cell] == 0:
            self.cell_done()
        if self.console.is_terminal:
            return
        if self.rounds_left[one.cell] == 0:
            self.tell(self._cell_line(one))
        if self.trial_rounds_left[one.trial] == 0:
            self.tell(f"trial {one.trial + 1} of {max(self.trial_rounds_left) + 1} done")

    def _cell_line(self, one: Round) -> str:
        cell = one.cell
        what = f"{cell.experiment} {cell.workload} {place_of(cell.setting.label, cell.decode_mode)}"
        if one.cell in self.failed:
            return f"{what}: not measured"
        times = self.latencies[one.cell]
        return f"{what}: {len(times)} requests, median {median(times):.1f} ms"
