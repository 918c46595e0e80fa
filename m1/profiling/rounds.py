"""Measure rounds one after another. Each request is in the journal before the next one begins."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from m1.profiling.journal.journal import Journal
from m1.profiling.machine.watch import MachineWatch
from m1.profiling.measured_cells import MeasuredCells
from m1.profiling.progress import ProfileProgress
from m1.profiling.schedule import Round

OneRequest = Callable[[], AbstractContextManager[None]]
"""A context around each request and its line in the journal."""


def left_of(rounds: Sequence[Round], journal: Journal) -> list[Round]:
    """The part of a plan that the journal does not hold yet."""
    done = journal.rows
    left = [
        replace(one, planned=tuple(each for each in one.planned if each.order not in done))
        for one in rounds
    ]
    return [one for one in left if one.planned]


def measure_rounds(
    rounds: Sequence[Round],
    cells: MeasuredCells,
    watch: MachineWatch,
    progress: ProfileProgress,
    one_request: OneRequest,
) -> None:
    """Measure rounds in their order; skip cells that fail."""
    for one in rounds:
        for n_done, planned in enumerate(one.planned):
            if cells.failed(one):
                progress.round_dropped(one, len(one.planned) - n_done)
                break
            with one_request():
                row = cells.measure_and_write(one, planned)
                if row:
                    watch.look()
                    progress.request_done(one, row)
        progress.round_done(one)
