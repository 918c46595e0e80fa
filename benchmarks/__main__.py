"""Measure what the program itself costs, and write the results as a table."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks import greedy_loop, marks, scaling, startup, sweep
from benchmarks.bench import Bench
from benchmarks.row import Row
from benchmarks.table import page
from m1.errors import run_command
from m1.files import write_text
from m1.params import load_params

PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "greedy loop": greedy_loop.rows,
    "marks and closure": marks.rows,
    "sweep": sweep.rows,
    "bootstrap and frontier": scaling.rows,
    "start": startup.rows,
}


def main(
    quick: Annotated[bool, typer.Option(help="A trial with few measurements.")] = False,
    only: Annotated[str | None, typer.Option(help=f"Only this part: {', '.join(PARTS)}.")] = None,
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    out: Annotated[Path, typer.Option(help="File for the table.")] = Path("docs/bench.md"),
) -> None:
    """Measure every part, print the results, and write the table. `--only` writes no table."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.set_up(load_params(params_file), Path(folder), quick)
        rows = [row for name in PARTS if only in (None, name) for row in measured(name, bench)]
    if only is None:
        write_text(page(rows, [greedy_loop.REMARK, sweep.remark(bench)], quick), out)
        print(f"written: {out}")


def measured(name: str, bench: Bench) -> list[Row]:
    """Measure one part. Print its rows and the time that it took, and return the rows."""
    print(f"{name} ...", flush=True)
    started = perf_counter()
    rows = PARTS[name](bench)
    for row in rows:
        print(f"  {row.compared}: {row.result_text}; aim {row.aim_text}: {row.verdict}")
    print(f"  {perf_counter() - started:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    run_command(main)
