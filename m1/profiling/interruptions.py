"""Interrupted requests are noted, measured again, and counted in a check.

There are two signs of an interruption. The thread stood still while wall time passed
(`m1.profiling.timing.standstill`). Or a request took many times as long as its cell usually takes,
but not when it was measured again. Both limits are far beyond the normal variation of a machine, so
the tail of the latencies is measured and not cut off.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from statistics import median

from m1.params import ValidityParams
from m1.profiling.cell import Cell
from m1.profiling.checks.check import at_most, not_measured
from m1.profiling.journal.journal import Journal
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.request import Attempt
from m1.profiling.timing.standstill import Elapsed
from m1.schemas.profile import Check, Interruption, MeasuredRequest

MOST_ATTEMPTS = 3
# A multiple of the median of the cell, in total and for each token. Of 4,560 requests on an H200
# whose host was shared by others, the slowest took 4.0 times the median (docs/log.md, 2026-11-26).
FAR_OUT = 10.0
# If two measurements of one request differ by less than this factor, the request itself is slow.
ALIKE = 2.0
LEAST_KNOWN = 5
# A thread that waits for a GPU or for other threads may sleep. If it usually stands still for more
# than this share of the time, its clock cannot show interruptions.
WAITS = 0.1
# The number of requests whose clocks are remembered.
MOST_SHARES = 100


class Undisturbed:
    """Measures requests. If a request is interrupted, it is measured again."""

    def __init__(
        self, journal: Journal, attempt: Callable[[Round, Planned], Attempt], *, on_gpu: bool
    ) -> None:
        """Start with what was measured before.

        Args:
            journal: the journal of the run, where interruptions are noted.
            attempt: measures a request of a round once.
            on_gpu: whether the thread waits for another device.
        """
        self.journal, self.attempt, self.on_gpu = journal, attempt, on_gpu
        self.measured: dict[Cell, list[MeasuredRequest]] = defaultdict(list)
        self.warmed_up: dict[Cell, list[MeasuredRequest]] = defaultdict(list)
        for row in journal.rows.values():
            self.measured[_kind(row)].append(row)
        self.still_shares: deque[float] = deque(maxlen=MOST_SHARES)
        self.lost_s = 0.0
        """Time of the attempts that do not count."""

    def measure(self, round_: Round, planned: Planned) -> MeasuredRequest:
        """Measure a request of a round. If it is interrupted, repeat it, a few times at most."""
        far: list[Attempt] = []
        for left in reversed(range(MOST_ATTEMPTS)):
            attempt = self.attempt(round_, planned)
            reason = self._stopped(attempt)
            if reason:
                self._note(attempt.row, reason, kept=not left)
            elif not self._is_far_out(attempt.row):
                break
            elif same := next((earlier for earlier in far if _alike(earlier, attempt)), None):
                # It is slow in both measurements, so the request is slow. The first one counts.
                far.remove(same)
                attempt = same
                break
            else:
                far.append(attempt)
        else:
            # No attempt was undisturbed: the last one is kept, and the check fails.
            self._note_far(far, last=attempt)
            return attempt.row
        self._note_far(far)
        self._learn(attempt)
        return attempt.row

    def _stopped(self, attempt: Attempt) -> str | None:
        """The reason to believe that the thread or the machine stopped, if there is one."""
        told = {
            "preprocessing": _stopped(attempt.preprocessing, tells=True),
            "answering": _stopped(attempt.answering, tells=self._clock_tells()),
        }
        return next((f"while {what}, {reason}" for what, reason in told.items() if reason), None)

    def _clock_tells(self) -> bool:
        """Whether the thread's clock advances with wall time if nothing interrupts the thread.

        A thread waits for a device in the same way in all cells, so warm-up shows this.
        """
        known = len(self.still_shares) >= LEAST_KNOWN
        return median(self.still_shares) < WAITS if known else not self.on_gpu

    def _is_far_out(self, row: MeasuredRequest) -> bool:
        """Whether a request takes far too long for its cell, in total and for each token.

        Both are needed: a long output takes long in total, and a short one long for each token.
        """
        known = self._known(row)
        return len(known) >= LEAST_KNOWN and all(
            quantity(row) > FAR_OUT * median(map(quantity, known))
            for quantity in (_total_ms, _ms_per_token)
        )

    def _known(self, row: MeasuredRequest) -> list[MeasuredRequest]:
        """The known rows of a row's cell. Until there are enough, rows of warm-up are added."""
        measured = self.measured[_kind(row)]
        if len(measured) >= LEAST_KNOWN:
            return measured
        return self.warmed_up[_kind(row)] + measured

    def _learn(self, attempt: Attempt) -> None:
        row = attempt.row
        self.still_shares.append(attempt.answering.still_share)
        (self.measured if row.order >= 0 else self.warmed_up)[_kind(row)].append(row)

    def _note_far(self, far: Sequence[Attempt], last: Attempt | None = None) -> None:
        for attempt in far:
            times = median(map(_total_ms, self._known(attempt.row)))
            reason = f"it took {attempt.row.total_ms / times:.0f} times the median of its cell"
            self._note(attempt.row, reason, kept=attempt is last)

    def _note(self, row: MeasuredRequest, reason: str, *, kept: bool) -> None:
        if not kept:
            self.lost_s += (row.preprocess_ms + row.total_ms) / 1e3
        if row.order < 0:
            return
        self.journal.interrupted(
            Interruption(
                order=row.order,
                experiment=row.experiment,
                workload=row.workload,
                request_id=row.request_id,
                total_ms=row.total_ms,
                reason=reason,
                kept=kept,
            )
        )


def _kind(row: MeasuredRequest) -> Cell:
    """The cell of a row, whatever its experiment: that does not change how long it takes."""
    return Cell.of(row)._replace(experiment="e2")


def _total_ms(row: MeasuredRequest) -> float:
    return row.total_ms


def _ms_per_token(row: MeasuredRequest) -> float:
    return row.total_ms / row.n_output_tokens


def _alike(first: Attempt, other: Attempt) -> bool:
    times = first.row.total_ms, other.row.total_ms
    return max(times) < ALIKE * min(times)


def _stopped(elapsed: Elapsed, *, tells: bool) -> str | None:
    return elapsed.suspension or (elapsed.standstill if tells else None)


def check_interruptions(
    interruptions: Sequence[Interruption] | None, n_rows: int, limits: ValidityParams
) -> tuple[Check, ...]:
    """Check that few requests were interrupted, and that each was measured again undisturbed.

    Args:
        interruptions: those of the run; `None` if an earlier version did not look for them.
        n_rows: measured requests.
        limits: the largest share of measurements that may have been interrupted.
    """
    if interruptions is None:
        reason = "interruptions of requests were not recorded"
        return (not_measured("interruptions", limits.interruptions, reason, passed=True),)
    n = len(interruptions)
    n_kept = sum(interruption.kept for interruption in interruptions)
    share = (n - n_kept) / max(1, n_rows + n - n_kept) if n else 0.0
    first = f", the first of them: {interruptions[0].reason}" if interruptions else ""
    return (
        at_most("interruptions", share, limits.interruptions,
                f"share of measurements that were interrupted and repeated ({n - n_kept}{first})"),
        at_most("interrupted_rows", n_kept, 0.0,
                f"requests that were interrupted in each of {MOST_ATTEMPTS} attempts, and count as "
                "they are", ".0f"),
    )  # fmt: skip
