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
HEAD = ("", "quantity", "result (95 % interval)", "aim", "verdict", "limited by")
INTRODUCTION = """# What the program itself costs

`make bench`{quick} writes this page. Two ways that are compared take turns in random order on the
same requests. The result is the median of their ratios, with its bootstrap interval. An aim is met
if the whole interval respects it, and not met if no part of the interval does. Otherwise the
verdict is "undecided".

{machine}

"""


def table(rows: Sequence[Row]) -> str:
    """All rows. Names of groups and sentences on limits stand only where they come first."""
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
        remarks: paragraphs, each on how something was counted.
        quick: whether it was a trial run.
    """
    opening = INTRODUCTION.format(machine=machine(), quick=" (--quick: a trial)" if quick else "")
    return opening + table(rows) + "".join(f"\n{remark}\n" for remark in remarks)


def machine() -> str:
    """The date, the machine and the libraries."""
    versions = [f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in LIBRARIES)]
    cores = f"cores: {os.cpu_count()}, threads used: {torch.get_num_threads()}"
    today = date.today().isoformat()
    return f"{today}, {device_name(torch.device('cpu'))}, {cores}; {', '.join(versions)}."
