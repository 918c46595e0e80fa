"""Checks that the machine kept its speed; or, if it did not, that ratios of times still hold.

A run measures its cells in turn, so a machine that becomes slower is slower in all of them. Then
milliseconds say less, but ratios are the same. The anchors show how the speed changed. So drift and
jitter are checked twice: of the times as measured, which can spoil milliseconds, and of the times
without the course of the machine, which can spoil everything. A slow spell that hits one cell is
not in the anchors, so there is a check of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd

from m1.machine_course import (
    N_THIRDS,
    Numbers,
    course_of,
    decode_ms_per_token,
    first_token_ms,
    table_of_times,
    thirds,
)
from m1.params import ValidityParams
from m1.profiling.cell import Cell
from m1.profiling.checks.check import at_most, not_measured
from m1.robust_spread import ratios_to_own_median, robust_spread
from m1.schemas.profile import REPEATED, Check, MeasuredRequest, Spoiled, place_of
from m1.schemas.requests import WORKLOADS

LEAST_IN_A_THIRD = 3
CONFIDENCE = 0.95
"""Probability that no cell of a run without spells seems to have one."""


@dataclass(frozen=True)
class Times:
    """The times of a run in one of two forms."""

    table: pd.DataFrame
    """A row for each measured request."""
    prefix: str
    """Before the names of checks."""
    how: str
    """Before their sentences."""
    spoils: Spoiled
    """What a failed check of these times spoils."""


def check_speed(rows: Sequence[MeasuredRequest], limits: ValidityParams) -> tuple[Check, ...]:
    """All checks of the machine's speed."""
    table = table_of_times(rows)
    steady_table = course_of(table).without(table)
    measured = Times(table, "", "", "milliseconds")
    how = "without the course of the machine, "
    steady = Times(steady_table, "steady_", how, "everything")
    cells = [_name(row) for row in rows]
    return (
        *(check_drift(times, limits.drift) for times in (measured, steady)),
        *(check_jitter(times, limits.jitter) for times in (measured, steady)),
        check_spells(steady_table.assign(cell=cells), limits.drift),
    )


def _name(row: MeasuredRequest) -> str:
    """The name of a row's cell."""
    return f"{row.workload} {place_of(Cell.of(row).setting.label, row.decode_mode)}"


def check_drift(times: Times, threshold: float) -> Check:
    """Check that the speed of E1 was constant: no third of the run differs from another one."""
    name = f"{times.prefix}drift"
    changes: dict[str, float] = {}
    for workload in WORKLOADS:
        e1 = _rows_of(times.table, ("e1",), workload).sort_values("order")
        for what, values in (
            ("time to first token", first_token_ms(e1)),
            ("decode", decode_ms_per_token(e1)),
        ):
            if (change := drift(values.dropna().to_numpy())) is not None:
                changes[f"{workload} {what}"] = change
    if not changes:
        reason = f"{times.how}drift not measured: too few requests"
        return not_measured(name, threshold, reason, passed=False, spoils=times.spoils)
    shown = ", ".join(f"{what} {change:.1%}" for what, change in changes.items())
    sentence = f"{times.how}largest change between two thirds of the run ({shown})"
    return at_most(name, max(changes.values()), threshold, sentence, spoils=times.spoils)


def _rows_of(table: pd.DataFrame, experiments: Sequence[str], workload: str) -> pd.DataFrame:
    return table[table["experiment"].isin(experiments) & (table["workload"] == workload)]


def drift(values: Numbers) -> float | None:
    """Largest relative difference between the medians of two thirds of values in order of time.

    `None` with fewer than three values in a third.
    """
    if len(values) < N_THIRDS * LEAST_IN_A_THIRD:
        return None
    middles = [float(np.median(part)) for part in thirds(values)]
    return max(middles) / min(middles) - 1


def check_jitter(times: Times, threshold: float) -> Check:
    """Check that a repeated request takes about the same time in every trial."""
    name = f"{times.prefix}jitter"
    spreads = {w: spread for w in WORKLOADS if (spread := jitter(times.table, w)) is not None}
    if len(spreads) < len(WORKLOADS):
        missing = "no request of each workload was measured in several trials"
        reason = f"{times.how}jitter not measured: {missing}"
        return not_measured(name, threshold, reason, passed=False, spoils=times.spoils)
    shown = ", ".join(f"{workload} {spread:.1%}" for workload, spread in spreads.items())
    sentence = f"{times.how}spread of latency at a repeated request ({shown})"
    return at_most(name, max(spreads.values()), threshold, sentence, spoils=times.spoils)


def jitter(table: pd.DataFrame, workload: str) -> float | None:
    """Robust relative spread of repeated requests around their own medians."""
    repeats = _rows_of(table, REPEATED, workload)
    ratios = ratios_to_own_median(
        own.to_list() for _, own in repeats.groupby("request_id")["total_ms"]
    )
    return robust_spread(ratios) if ratios else None


def check_spells(table: pd.DataFrame, threshold: float) -> Check:
    """Check that no cell of E2 had a slow spell of its own, as far as noise allows to see one.

    Every cell has the same requests in the same trials. So what is left of a cell's times, after
    those of all cells of its workload are taken out, is the same in every third of the run.

    Args:
        table: the times without the course of the machine, with the name of each row's `cell`.
        threshold: the largest allowed change of one cell between two thirds of the run.
    """
    left = _left_of_cells(table)
    spells = {cell: spell for cell, own in left.items() if (spell := _spell(own)) is not None}
    if not spells:
        reason = "slow spells of single cells not measured: too few trials"
        return not_measured("cell_spells", threshold, reason, passed=False)
    n_compared = len(spells) * math.comb(N_THIRDS, 2)
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


def _left_of_cells(table: pd.DataFrame) -> dict[str, Numbers]:
    """What is left of the logarithm of each cell's times, by its name: [n_trials].

    Lengths of outputs differ between cells, so the times are those of outputs of the mean length.
    """
    e2 = table[(table["experiment"] == "e2") & table["marked"]].copy()
    per_token = decode_ms_per_token(e2)
    per_token = per_token.fillna(per_token.groupby(e2["cell"]).transform("mean")).fillna(0.0)
    steps = e2.groupby("cell")["n_output_tokens"].transform("mean") - 1
    e2["left"] = np.log(first_token_ms(e2) + per_token * steps)
    for of_each in (["cell"], ["workload", "request_id"]):
        e2["left"] -= e2.groupby(of_each)["left"].transform("median")
    by_trial = e2.groupby(["cell", "trial"])["left"].mean()
    return {str(name): own.to_numpy() for name, own in by_trial.groupby(level=0)}


def _spell(left: Numbers) -> tuple[float, float] | None:
    """Largest change between two thirds [n_trials], and its standard error.

    `None` with fewer than three trials in a third.
    """
    if len(left) < N_THIRDS * LEAST_IN_A_THIRD:
        return None
    parts = thirds(left)
    means = [float(part.mean()) for part in parts]
    error = max(
        math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        for a, b in combinations(parts, 2)
    )
    return max(means) - min(means), error
