"""Measure both workloads: E1 at the reference setting, E2 over the knob grid."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from m1.errors import UserError, run_command
from m1.files import check_writable, written_together
from m1.kept import shared_folder
from m1.origin import rows_fingerprint
from m1.params import ModelParams, load_params
from m1.plain_text import say
from m1.prepared import read_requests_and_images
from m1.profiling.ctrl_c import CtrlC
from m1.profiling.facts import Facts, gather_facts
from m1.profiling.journal import Journal, journal_key
from m1.profiling.journals import Journals
from m1.profiling.provenance import git_commit, provenance
from m1.profiling.run import Measured, Profiler
from m1.profiling.validity import judge
from m1.schemas.profile import ProfileRun, Provenance, Validity
from m1.schemas.requests import WORKLOADS
from m1.vlm.calibration import calibrated
from m1.vlm.device_lock import device_lock
from m1.vlm.knobs import kept_blocks
from m1.vlm.loading import find_device, load_vlm
from m1.vlm.prompt_checks import check_prompts


def main(
    requests: Annotated[Path, typer.Option(help="Folder with both request sets.")] = Path(
        "data/requests"
    ),
    params_file: Annotated[Path, typer.Option("--params", help="Parameters.")] = Path(
        "params.yaml"
    ),
    journal_folder: Annotated[
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
    folders = {w: requests / w for w in WORKLOADS}
    sets = {w: read_requests_and_images(folder) for w, folder in folders.items()}
    check_writable(out)
    journals = Journals(shared_folder(journal_folder, Path.cwd()), Path.cwd())
    # The lock covers loading too, which would disturb another run's timings; and the journal, so
    # that of two equal runs the second does not go on with the first one's.
    with CtrlC() as ctrl_c, device_lock(find_device(params.model.device)):
        loaded = load_vlm(params.model)
        check_prompts(loaded.prompts, sets)
        vlm = calibrated(loaded, params.knobs, sets, folders)
        profiler = Profiler(vlm, sets, folders, params.knobs.grid(), params.profile)
        key = journal_key(vlm, sets, params.model, params.knobs, params.profile)
        with journals.open(key) as journal:
            profiler.prepare()
            facts = gather_facts(vlm, sets, folders, profiler.grid)
            measured = profiler.run(params.validity.warmup_plateau, journal, ctrl_c.one_request)
            origin = origin_of(profiler, params.model, measured, journal)
            validity = judge(measured.rows, measured.seen, params.validity, facts.runtime_agreement)
            run = record_of(profiler, measured, facts, origin, validity, params.knobs.block_policy)
            with written_together() as results:
                results.rows(measured.rows, out / "rows.parquet")
                results.record(run, out / "run.json")
            tell(run)
            if run.failed and params.profile.strict:
                refuse_failed_cells(run, journal)
            journals.finish(journal)


def origin_of(
    profiler: Profiler, model: ModelParams, measured: Measured, journal: Journal
) -> Provenance:
    """The provenance of a finished run."""
    return provenance(
        profiler.vlm,
        model,
        profiler.sets,
        journal.started_at,
        measured.duration_s,
        journal.resumed_at,
        git_commit(),
    )


def record_of(
    profiler: Profiler,
    measured: Measured,
    facts: Facts,
    origin: Provenance,
    validity: Validity,
    block_policy: str,
) -> ProfileRun:
    """The record of a finished run."""
    return ProfileRun(
        provenance=origin,
        validity=validity,
        max_new_tokens=profiler.params.max_new_tokens.by_workload(),
        decode_mode=profiler.decode_mode,
        reference=profiler.grid[0],
        grid=profiler.grid,
        block_policy=block_policy,
        kept_blocks=kept_blocks(profiler.vlm.structure, profiler.grid),
        n_rows=len(measured.rows),
        rows_fingerprint=rows_fingerprint(measured.rows),
        device_rates=facts.device_rates,
        work=facts.work,
        runtime_agreement=facts.runtime_agreement,
        prompt_graphs=profiler.prompt_graphs,
        failed=measured.failed,
        interruptions=measured.seen.interruptions,
        end_tokens=profiler.vlm.end_tokens,
    )


def tell(run: ProfileRun) -> None:
    """Say what was measured, what not, and whether it may be believed."""
    verdict = run.validity
    say(f"{run.n_rows} requests measured: {verdict.verdict}", *(f"  {r}" for r in verdict.reasons))
    if run.interruptions:
        say(f"  interrupted: {len(run.interruptions)} measurements")
    say(*(f"  not measured: {cell.told}" for cell in run.failed))


def refuse_failed_cells(run: ProfileRun, journal: Journal) -> NoReturn:
    """End a strict run in which cells failed; the next one tries them again.

    Raises:
        UserError: always.
    """
    journal.retry()
    raise UserError(
        f"{len(run.failed)} of the cells could not be measured, which profile.strict forbids: "
        "`dvc repro` tries them again; or leave those settings out of knobs"
    )


if __name__ == "__main__":
    run_command(main)
