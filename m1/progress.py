"""Progress over requests and cells: one bar in a terminal, lines elsewhere."""

from time import monotonic
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from m1.terminal import Terminal


class CellProgress:
    """Counts requests and cells; shows rate and time left."""

    def __init__(
        self,
        title: str,
        n_requests: int,
        n_cells: int,
        console: Terminal | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        """Start counting the planned requests and cells. With `quiet` nothing is shown."""
        self.console = console or Terminal(stderr=True, quiet=quiet)
        self.n_requests, self.n_cells = n_requests, n_cells
        self.n_requests_done = self.n_cells_done = 0
        self.started = monotonic()
        self.bar = Progress(
            TextColumn(title, markup=False),
            BarColumn(),
            TextColumn("{task.fields[cells]} cells, {task.fields[rate]:.0f} requests/s, left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=n_requests, cells=self._cells(), rate=0.0)

    def __enter__(self) -> Self:
        """Start to show the progress bar."""
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the terminal."""
        self.bar.stop()

    def begin(self) -> None:
        """Start counting time."""
        self.started = monotonic()
        self.bar.reset(self.task)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, soft_wrap=True)

    def requests_done(self, n: int = 1) -> None:
        """Count requests."""
        self.n_requests_done += n
        self.bar.update(self.task, completed=self.n_requests_done, rate=self._rate())

    def requests_dropped(self, n: int) -> None:
        """Reduce the number of expected requests: these will not be done."""
        self.n_requests -= n
        self.bar.update(self.task, total=self.n_requests)

    def cell_done(self) -> None:
        """Count a cell."""
        self.n_cells_done += 1
        self.bar.update(self.task, cells=self._cells())

    def tell(self, text: str) -> None:
        """If there is no bar, print a line with the progress."""
        if not self.console.is_terminal:
            self.note(f"{text} {self._where()}")

    def _where(self) -> str:
        rate = self._rate()
        left = f"{(self.n_requests - self.n_requests_done) / rate:.0f}" if rate else "?"
        return f"[{self._cells()} cells, {rate:.0f} requests/s, {left} s left]"

    def _cells(self) -> str:
        return f"{self.n_cells_done}/{self.n_cells}"

    def _rate(self) -> float:
        return self.n_requests_done / max(monotonic() - self.started, 1e-9)
