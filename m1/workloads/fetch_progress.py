"""Progress of a fetch: bars with the time left in a terminal, a line for each step elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from m1.terminal import Terminal
from m1.workloads.download import Report


class FetchProgress:
    """Shows what is being fetched."""

    def __init__(self, console: Terminal | None = None) -> None:
        """Write to the console, by default on stderr."""
        self.console = console or Terminal(stderr=True)

    def note(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def archive(self, name: str) -> Iterator[Report]:
        """A bar of bytes; yields a function to call with the bytes so far and all bytes."""
        self._say_where_no_bar_is(f"{name}: fetching")
        with self._bar(DownloadColumn()) as bar:
            task = bar.add_task(name, total=None)
            yield lambda here, total: bar.update(task, completed=here, total=total)

    @contextmanager
    def images(self, n_images: int) -> Iterator[Report]:
        """A bar of images; yields a function to call with the number so far and of all images."""
        self._say_where_no_bar_is(f"images: fetching {n_images}")
        with self._bar(TextColumn("{task.completed:.0f} of {task.total:.0f}")) as bar:
            task = bar.add_task("images", total=n_images)
            yield lambda here, total: bar.update(task, completed=here, total=total)

    def _say_where_no_bar_is(self, text: str) -> None:
        if not self.console.is_terminal:
            self.note(text)

    def _bar(self, amount: ProgressColumn) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            amount,
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
