"""Checks that the machine kept its speed; or, if it did not, that ratios of times still hold.

A run measures its cells in turn, so a machine that becomes slower is slower in all of them. Then
milliseconds say less, but ratios are the same. The anchors show how the speed changed. So each
check is made twice: on the times as measured, which can spoil milliseconds, and on the times
without the course of the machine, which can spoil everything. A slow spell that hits one cell is
not in the anchors, so there is a check of its own.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from m1.machine_course import (
    decode_ms_per_token,
    first_token_ms,
    table_of_times,
    without_course,
)
from m1.params import ValidityParams
from m1.profiling.cell import Cell
from m1.profiling.checks.check import at_most, not_measured
from m1.robust_spread import ratios_to_own_median, robust_spread
from m1.schemas.profile import REPEATED, Check, MeasuredRequest, place_of
from m1.schemas.requests import WORKLOADS

N_THIRDS = 3
LEAST_IN_A_THIRD = 3
CONFIDENCE = 0.95
"""Probability that no cell of a run without spells seems to have one."""

Quantity = Callable[[MeasuredRequest], float | None]


def check_speed(rows: Sequence[MeasuredRequest], limits: ValidityParams) -> tuple[Check, ...]:
    """All checks of the machine's speed."""
    steady = without_course(rows)
    without = "without the course of the machine, "
    as_measured = (check_drift(rows, limits.drift), check_jitter(rows, limits.jitter))
    return (
        *(check.model_copy(update={"spoils": "milliseconds"}) for check in as_measured),
        check_drift(steady, limits.drift, "steady_drift", without),
        check_jitter(steady, limits.jitter, "steady_jitter", without),
        check_spells(steady, limits.drift),
    )


def check_drift(
    rows: Sequence[MeasuredRequest], threshold: float, name: str = "drift", how: str = ""
) -> Check:
    """Check that the speed of E1 was constant: no third of the run differs from another one."""
    changes = {
        f"{workload} {what}": change
        for workload in WORKLOADS
        for what, quantity in (("time to first token", _ttft_ms), ("decode", _decode_ms_per_token))
        if (change := drift(rows, workload, quantity)) is not None
    }
    if not changes:
        reason = f"{how}drift not measured: too few requests"
        return not_measured(name, threshold, reason, passed=False)
    shown = ", ".join(f"{what} {change:.1%}" for what, change in changes.items())
    sentence = f"{how}largest change between two thirds of the run ({shown})"
    return at_most(name, max(changes.values()), threshold, sentence)


def _ttft_ms(row: MeasuredRequest) -> float:
    """Time to first token, which depends little on the text of a request."""
    return row.total_ms - (row.decode_ms or 0.0)


def _decode_ms_per_token(row: MeasuredRequest) -> float | None:
    """Time of each token after the first; `None` for outputs of one token."""
    steps = row.n_output_tokens - 1
    return row.decode_ms / steps if row.decode_ms is not None and steps else None


def drift(rows: Sequence[MeasuredRequest], workload: str, quantity: Quantity) -> float | None:
    """Largest relative difference between the medians of two thirds of E1, in order of time.

    `None` with fewer than three values in a third.
    """
    e1 = [row for row in rows if row.experiment == "e1" and row.workload == workload]
    values = [v for row in sorted(e1, key=lambda r: r.order) if (v := quantity(row)) is not None]
    third = len(values) // N_THIRDS
    if third < LEAST_IN_A_THIRD:
        return None
    parts = (values[:third], values[third:-third], values[-third:])
    middles = [median(part) for part in parts]
    return max(max(a, b) / min(a, b) - 1 for a, b in combinations(middles, 2))


def check_jitter(
    rows: Sequence[MeasuredRequest], threshold: float, name: str = "jitter", how: str = ""
) -> Check:
    """Check that a repeated request takes about the same time in every trial."""
    spreads = {w: spread for w in WORKLOADS if (spread := jitter(rows, w)) is not None}
    if len(spreads) < len(WORKLOADS):
        reason = (
            f"{how}jitter not measured: no request of each workload was measured in several trials"
        )
        return not_measured(name, threshold, reason, passed=False)
    shown = ", ".join(f"{workload} {spread:.1%}" for workload, spread in spreads.items())
    sentence = f"{how}spread of latency at a repeated request ({shown})"
    return at_most(name, max(spreads.values()), threshold, sentence)


def jitter(rows: Sequence[MeasuredRequest], workload: str) -> float | None:
    """Robust relative spread of repeated requests around their own medians."""
    times: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.experiment in REPEATED and row.workload == workload:
            times[row.request_id].append(row.total_ms)
    ratios = ratios_to_own_median(times.values())
    return robust_spread(ratios) if ratios else None


def check_spells(rows: Sequence[MeasuredRequest], threshold: float) -> Check:
    """Check that no cell of E2 had a slow spell of its own, as far as noise allows to see one.

    Every cell has the same requests in the same trials. So what is left of a cell's times, after
    those of all cells of its workload are taken out, is the same in every third of the run.

    Args:
        rows: the rows of the run, without the course of the machine.
        threshold: the largest allowed change of one cell between two thirds of the run.
    """
    left = _left_of_cells(rows)
    spells = {cell: spell for cell, own in left.items() if (spell := _spell(own)) is not None}
    if not spells:
        reason = "slow spells of single cells not measured: too few trials"
        return not_measured("cell_spells", threshold, reason, passed=False)
    n_compared = len(spells) * len(list(combinations(range(N_THIRDS), 2)))
    sure = _sure_of(n_compared, min(map(len, left.values())))
    shown = {cell: max(0.0, change - sure * error) for cell, (change, error) in spells.items()}
    worst = max(shown, key=lambda cell: shown[cell])
    change, error = spells[worst]
    sentence = (
        "largest change of one cell against the others between two thirds of the run, as far as "
        f"its interval shows it ({worst}: {change:.1%}, standard error {error:.1%})"
    )
    return at_most("cell_spells", shown[worst], threshold, sentence)


def _sure_of(n_compared: int, n_trials: int) -> float:
    """The number of standard errors that no change of a run without spells reaches.

    It is for all comparisons together (Bonferroni), and Student's t to first order in one over the
    number of trials.
    """
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * n_compared))
    return z * math.sqrt(1 + (z**2 + 1) / (2 * (n_trials - N_THIRDS)))


def _left_of_cells(rows: Sequence[MeasuredRequest]) -> dict[str, NDArray[np.float64]]:
    """What is left of the logarithm of each cell's times, by its name: [n_trials].

    Lengths of outputs differ between cells, so the times are those of outputs of the mean length.
    """
    e2 = [row for row in rows if row.experiment == "e2" and row.marked]
    names = [f"{row.workload} {_place(row)}" for row in e2]
    table = table_of_times(e2).assign(cell=names)
    per_token = decode_ms_per_token(table)
    per_token = per_token.fillna(per_token.groupby(table["cell"]).transform("mean")).fillna(0.0)
    steps = table.groupby("cell")["n_output_tokens"].transform("mean") - 1
    table["left"] = np.log(first_token_ms(table) + per_token * steps)
    for of_each in (["cell"], ["workload", "request_id"]):
        table["left"] -= table.groupby(of_each)["left"].transform("median")
    by_trial = table.groupby(["cell", "trial"])["left"].mean()
    return {str(name): own.to_numpy() for name, own in by_trial.groupby(level=0)}


def _spell(left: NDArray[np.float64]) -> tuple[float, float] | None:
    """Largest change between two thirds [n_trials], and its standard error.

    `None` with fewer than three trials in a third.
    """
    third = len(left) // N_THIRDS
    if third < LEAST_IN_A_THIRD:
        return None
    parts = (left[:third], left[third:-third], left[-third:])
    means = [float(part.mean()) for part in parts]
    error = float(np.sqrt(np.mean([part.var(ddof=1) for part in parts]) * 2 / third))
    return max(means) - min(means), error


def _place(row: MeasuredRequest) -> str:
    return place_of(Cell.of(row).setting.label, row.decode_mode)
