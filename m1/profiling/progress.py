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
        self.rounds_left = Counter(round_.cell for round_ in rounds)
        self.trial_rounds_left = Counter(round_.trial for round_ in rounds)
        self.failed: set[Cell] = set()
        self.latencies: dict[Cell, list[float]] = {}
        n_requests = sum(len(round_.planned) for round_ in rounds)
        super().__init__("profile", n_requests, len(self.rounds_left), console, quiet=quiet)

    def request_done(self, round_: Round, row: MeasuredRequest) -> None:
        """Count a measured request."""
        self.latencies.setdefault(round_.cell, []).append(row.total_ms)
        self.requests_done()

    def round_dropped(self, round_: Round, n_left: int) -> None:
        """Take the rest of a round whose cell failed out of the count."""
        self.failed.add(round_.cell)
        self.requests_dropped(n_left)

    def round_done(self, round_: Round) -> None:
        """Count a finished round. Without a bar, report cells and trials as they end."""
        self.rounds_left[round_.cell] -= 1
        self.trial_rounds_left[round_.trial] -= 1
        if self.rounds_left[round_.cell] == 0:
            self.cell_done()
        if self.console.is_terminal:
            return
        if self.rounds_left[round_.cell] == 0:
            self.tell(self._cell_line(round_))
        if self.trial_rounds_left[round_.trial] == 0:
            self.tell(f"trial {round_.trial + 1} of {max(self.trial_rounds_left) + 1} done")

    def _cell_line(self, round_: Round) -> str:
        cell = round_.cell
        what = f"{cell.experiment} {cell.workload} {place_of(cell.setting.label, cell.decode_mode)}"
        if round_.cell in self.failed:
            return f"{what}: not measured"
        times = self.latencies[round_.cell]
        return f"{what}: {len(times)} requests, median {median(times):.1f} ms"
