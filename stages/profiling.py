"""Measure both workloads: E1 at the reference setting, E2 over the knob grid."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import UserError, run_command
from m1.files import check_writable, read_record, write_rows_and_record
from m1.kept import shared_folder
from m1.params import load_params
from m1.profiling.ctrl_c import CtrlC
from m1.profiling.facts import gather_facts
from m1.profiling.journal import Journal, journal_key
from m1.profiling.provenance import git_commit, provenance
from m1.profiling.run import Profiler
from m1.profiling.validity import judge
from m1.schemas.profile import FailedCell, ProfileRun
from m1.schemas.requests import WORKLOADS, RequestSet
from m1.vlm.calibration import calibrated
from m1.vlm.device_lock import device_lock
from m1.vlm.knobs import kept_blocks
from m1.vlm.loading import find_device, load_vlm


def main(
    requests: Annotated[Path, typer.Option(help="Folder with both request sets.")] = Path(
        "data/requests"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    journals: Annotated[
        Path, typer.Option("--journal", help="Folder of the journal of an unfinished run.")
    ] = Path(".m1/profile"),
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
    # The lock covers loading too, which would disturb another run's timings; and the journal, so
    # that of two equal runs the second finds the first one's gone.
    with CtrlC() as ctrl_c, device_lock(find_device(params.model.device)):
        vlm = calibrated(load_vlm(params.model), params.knobs, sets, folders)
        key = journal_key(vlm, sets, params.model, params.knobs, params.profile)
        profiler = Profiler(vlm, sets, folders, grid, params.profile)
        with Journal(shared_folder(journals, Path.cwd()), key) as journal:
            check_writable(out)
            profiler.prepare()
            facts = gather_facts(vlm, sets, folders, grid)
            measured = profiler.run(params.validity.warmup_plateau, journal, ctrl_c.one_request)
            validity = judge(measured.rows, measured.seen, params.validity, facts.runtime_agreement)
            run = ProfileRun(
                provenance=provenance(
                    vlm,
                    params.model,
                    sets,
                    journal.started_at,
                    measured.duration_s,
                    journal.resumed_at,
                    git_commit(),
                ),
                validity=validity,
                max_new_tokens=params.profile.max_new_tokens.by_workload(),
                decode_mode=profiler.decode_mode,
                reference=grid[0],
                grid=grid,
                block_policy=params.knobs.block_policy,
                kept_blocks=kept_blocks(vlm.structure, grid),
                n_rows=len(measured.rows),
                device_rates=facts.device_rates,
                work=facts.work,
                runtime_agreement=facts.runtime_agreement,
                failed=measured.failed,
            )
            write_rows_and_record(measured.rows, out / "rows.parquet", run, out / "run.json")
            journal.remove()
    print(f"{run.n_rows} requests measured: {validity.verdict}", *validity.reasons, sep="\n  ")
    tell_failed(run.failed, strict=params.profile.strict)


def tell_failed(failed: tuple[FailedCell, ...], *, strict: bool) -> None:
    """Say what could not be measured.

    Raises:
        UserError: in strict runs, so that the stage fails.
    """
    for cell in failed:
        print(f"  not measured: {cell.told}")
    if failed and strict:
        raise UserError(
            f"{len(failed)} cells could not be measured; the others are written. Leave those "
            "settings out of knobs, or set profile.strict to false"
        )


if __name__ == "__main__":
    run_command(main)
