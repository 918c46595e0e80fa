"""Measure both workloads: E1 at the reference setting, E2 over the knob grid."""

from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from m1.errors import run_command
from m1.files import read_record, write_record, write_rows
from m1.params import load_params
from m1.profiling.facts import gather_facts
from m1.profiling.provenance import provenance
from m1.profiling.run import Profiler
from m1.profiling.validity import judge
from m1.schemas.profile import ProfileRun
from m1.schemas.requests import WORKLOADS, RequestSet
from m1.vlm.calibration import calibrated
from m1.vlm.knobs import kept_blocks
from m1.vlm.loading import load_vlm


def main(
    requests: Annotated[Path, typer.Option(help="Folder with both request sets.")] = Path(
        "data/requests"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    out: Annotated[Path, typer.Option(help="Folder for rows.parquet and run.json.")] = Path(
        "data/profile"
    ),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a parameter, as in model.device=cuda; repeatable."),
    ] = None,
) -> None:
    """Measure latency, stages and answers of every cell on this machine."""
    params = load_params(params_file, changes or ())
    sets = {w: read_record(RequestSet, requests / w / "requests.json") for w in WORKLOADS}
    folders = {w: requests / w for w in WORKLOADS}
    grid = params.knobs.grid()
    vlm = calibrated(load_vlm(params.model), params.knobs, sets, folders)
    started, begun = datetime.now(UTC), monotonic()
    profiler = Profiler(vlm, sets, folders, grid, params.profile)
    profiler.prepare()
    facts = gather_facts(vlm, sets, folders, grid)
    rows, seen = profiler.run(params.validity.warmup_plateau)
    validity = judge(rows, seen, params.validity, facts.runtime_agreement)
    run = ProfileRun(
        provenance=provenance(vlm, params.model, sets, started, monotonic() - begun),
        validity=validity,
        max_new_tokens=params.profile.max_new_tokens.by_workload(),
        decode_mode=profiler.decode_mode,
        reference=grid[0],
        grid=grid,
        block_policy=params.knobs.block_policy,
        kept_blocks=kept_blocks(vlm.structure, grid),
        n_rows=len(rows),
        device_rates=facts.device_rates,
        work=facts.work,
        runtime_agreement=facts.runtime_agreement,
    )
    write_rows(rows, out / "rows.parquet")
    write_record(run, out / "run.json")
    print(f"{len(rows)} requests measured: {validity.verdict}", *validity.reasons, sep="\n  ")


if __name__ == "__main__":
    run_command(main)
