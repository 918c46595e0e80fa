"""The table of results, in Markdown."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version

import torch

from benchmarks.row import Row
from m1.profiling.provenance import device_name

LIBRARIES = ("torch", "transformers", "numpy", "dvc")
HEAD = ("", "what", "result (95 % interval)", "aim", "verdict", "what limits it")
INTRODUCTION = """# The program itself, measured

Written by `make bench`{quick}. Where two ways are compared, they take turns in random order on the
same requests, and the result is the median of ratios with its bootstrap interval. An aim is met if
the whole interval keeps it, not met if none of it does, else undecided.

{machine}

"""


def table(rows: Sequence[Row]) -> str:
    """All rows; a group's name and each sentence on limits where they come first only."""
    lines = [HEAD, ("---",) * len(HEAD)]
    told: set[str] = set()
    for row in rows:
        group, limit = ("" if text in told else text for text in (row.group, row.limit))
        lines.append((group, row.compared, row.result_text, row.aim_text, row.verdict, limit))
        told |= {row.group, row.limit}
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(rows: Sequence[Row], remarks: Sequence[str], quick: bool) -> str:
    """The whole page.

    Args:
        rows: all results.
        remarks: a paragraph on how something was counted, each.
        quick: whether it was a trial run.
    """
    opening = INTRODUCTION.format(machine=machine(), quick=" --quick: a trial" if quick else "")
    return opening + table(rows) + "".join(f"\n{remark}\n" for remark in remarks)


def machine() -> str:
    """On what and with what, today."""
    versions = [f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in LIBRARIES)]
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads used"
    today = date.today().isoformat()
    return f"{today}, {device_name(torch.device('cpu'))}, {cores}; {', '.join(versions)}."
