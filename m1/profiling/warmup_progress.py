"""Progress of warm-up: in a terminal, one line that changes; elsewhere, a line now and then."""

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Self

from m1.terminal import Terminal

# The time between two lines without a terminal. A window may take minutes.
LINE_S = 10.0


class WarmUpProgress:
    """Shows the current window, requests and time so far, and the change between the last two."""

    def __init__(
        self,
        limit: int,
        console: Terminal | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Start before the first window; `limit` is the largest number of windows."""
        self.limit, self.now = limit, now
        self.console = console or Terminal(stderr=True)
        self.started = self.told_at = now()
        self.n_windows = self.n_requests = 0
        self.change: float | None = None
        self.line = self.console.status(self._text()) if self.console.is_terminal else None

    def __enter__(self) -> Self:
        """Show the line."""
        if self.line:
            self.line.start()
        else:
            self.console.print(self._text(), soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Restore the terminal, and say how warm-up ended."""
        if self.line:
            self.line.stop()
        if kind is None:
            text = f"warmed up: {self.n_windows} windows, {self._so_far()}"
            self.console.print(text, soft_wrap=True)

    def request_done(self) -> None:
        """Count a request."""
        self.n_requests += 1
        self._show(due=self.now() - self.told_at >= LINE_S)

    def window_done(self, n_windows: int, change: float | None) -> None:
        """Note a window, and the relative change from the window before, if there is one."""
        self.n_windows, self.change = n_windows, change

    def _show(self, *, due: bool) -> None:
        if self.line:
            self.line.update(self._text())
        elif due:
            self.told_at = self.now()
            self.console.print(self._text(), soft_wrap=True)

    def _text(self) -> str:
        return f"warming up: window {self.n_windows + 1} of at most {self.limit}, {self._so_far()}"

    def _so_far(self) -> str:
        so_far = f"{self.n_requests} requests in {self.now() - self.started:.0f} s"
        if self.change is None:
            return so_far
        return f"{so_far}, {self.change:+.1%} from the last but one window to the last"
