"""The profile stage as a whole: load, check, measure, judge, write."""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from m1.errors import UserError
from m1.files import check_writable, written_together
from m1.kept import shared_folder
from m1.origin import rows_fingerprint
from m1.params import KnobParams, ModelParams, ProfileParams, ValidityParams
from m1.plain_text import say
from m1.prepared import read_prepared
from m1.profiling.checks.judge import judge
from m1.profiling.ctrl_c import CtrlC
from m1.profiling.facts.gather import Facts, compare_with_eager, gather_facts
from m1.profiling.facts.runtime_comparison import worst_of
from m1.profiling.journal.folder import Journals
from m1.profiling.journal.journal import Journal, journal_key
from m1.profiling.provenance import git_commit, provenance
from m1.profiling.run import Measure, Measured, Profiler
from m1.profiling.timing.request import measure
from m1.schemas.profile import ProfileRun, Provenance, Validity
from m1.vlm.device_lock import device_lock
from m1.vlm.knobs.apply import kept_blocks
from m1.vlm.loading.block_importance import calibrated
from m1.vlm.loading.load import find_device, load_vlm
from m1.vlm.prompts import check_prompts
from m1.vlm.runtime.compiled import compiler_choosing_anew


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes."""

    requests: Path
    """Folder with both request sets."""
    journals: Path
    """Folder of the journals of unfinished runs."""
    out: Path
    """Folder for rows.parquet and run.json."""


def profile(
    places: Places,
    model: ModelParams,
    knobs: KnobParams,
    params: ProfileParams,
    validity: ValidityParams,
    measure: Measure = measure,
) -> bool:
    """Measure what one process measures of both workloads, or resume a run that was interrupted.

    Returns:
        Whether the run is complete. If not, another process has to measure the rest.

    Raises:
        UserError: what is wrong and how to fix it.
    """
    prepared = read_prepared(places.requests)
    requests = {w: part.requests for w, part in prepared.items()}
    journal_folder = shared_folder(places.journals, Path.cwd())
    for folder in (places.out, journal_folder):
        check_writable(folder)
    journals = Journals(journal_folder, Path.cwd())
    compiler = nullcontext() if model.keep_compiled else compiler_choosing_anew()
    # The lock covers loading too, which would disturb another run's timings. It also covers the
    # journal: of two equal runs, the second must not resume the journal of the first.
    with CtrlC() as ctrl_c, device_lock(find_device(model.device)), compiler:
        loaded = load_vlm(model)
        check_prompts(loaded.prompts, requests)
        vlm = calibrated(loaded, knobs, prepared)
        profiler = Profiler(vlm, prepared, knobs.grid(), params, measure)
        key = journal_key(vlm, prepared, model, knobs, params)
        with journals.open(key) as journal:
            profiler.check_and_reserve()
            if agreement := compare_with_eager(vlm, prepared, profiler.grid):
                journal.agree(agreement)
            measured = profiler.run(validity.warmup_plateau, journal, ctrl_c.one_request)
            if measured is None:
                return False
            worst = worst_of(journal.agreements)
            facts = gather_facts(vlm, prepared, profiler.grid, worst)
            origin = _provenance_of(profiler, model, measured, journal)
            verdict = judge(measured.rows, measured.seen, validity, worst)
            run = _record_of(profiler, measured, facts, origin, verdict, knobs.block_policy)
            with written_together() as results:
                results.rows(measured.rows, places.out / "rows.parquet")
                results.record(run, places.out / "run.json")
            _tell_outcome(run, params.beyond({w: len(some) for w, some in requests.items()}))
            if run.failed and params.strict:
                _refuse_failed_cells(run, journal)
            journals.finish(journal)
    return True


def _provenance_of(
    profiler: Profiler, model: ModelParams, measured: Measured, journal: Journal
) -> Provenance:
    """The provenance of a finished run."""
    return provenance(
        profiler.vlm,
        model,
        profiler.prepared,
        journal.started_at,
        measured.duration_s,
        journal.resumed_at,
        git_commit(),
    )


def _record_of(
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
        n_processes=profiler.params.n_processes,
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


def _tell_outcome(run: ProfileRun, fewer_than_asked: Iterable[str]) -> None:
    """Say what was measured, what was not, and whether the run is valid."""
    verdict = run.validity
    say(f"{run.n_rows} requests measured: {verdict.verdict}")
    say(*(f"  {line}" for line in (*verdict.reasons, *fewer_than_asked)))
    if run.interruptions:
        say(f"  interrupted: {len(run.interruptions)} measurements")
    say(*(f"  not measured: {cell.told}" for cell in run.failed))


def _refuse_failed_cells(run: ProfileRun, journal: Journal) -> NoReturn:
    """End a strict run in which cells failed. The next run tries them again.

    Raises:
        UserError: always.
    """
    journal.retry()
    raise UserError(
        f"{len(run.failed)} of the cells could not be measured, which profile.strict forbids: "
        "`dvc repro` tries them again; or leave those settings out of knobs"
    )
