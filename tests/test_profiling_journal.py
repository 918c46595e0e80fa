"""Whatever stops a run, the next run resumes from its journal: nothing lost, nothing twice."""

import json
import os
import random
import time

import forked
import pytest
from faked_run import FakedRun, orders, raising
from simulated import prepared_in
from whole_run import ROOT, SMALL, merged, prepare, tiny_model, write_params

from m1.errors import UserError
from m1.params import KnobParams, load_params
from m1.prepared import PreparedRequests
from m1.profiling.journal import journal as journal_module
from m1.profiling.journal.entries import Look
from m1.profiling.journal.folder import Journals
from m1.profiling.journal.journal import journal_key
from m1.profiling.machine.watch import MachineWatch
from m1.profiling.warmup import WarmUp
from m1.schemas.requests import WORKLOADS, Request

N_KILLS = 12
REQUEST = Request(
    request_id="1", image_id="1", image="1.png", prompt="a", references=("b",), kind=None
)
TINY = {
    "knobs": {"active_blocks": 4},
    "profile": {
        "e1_requests": {"qa": 6, "captioning": 6},
        "e2_requests": {"qa": 4, "captioning": 4},
        "observer_requests": {"qa": 2, "captioning": 2},
    },
}


class Killed(BaseException):
    """What stops a run without a chance to tidy up."""


@pytest.fixture
def run(vlm, tmp_path, monkeypatch) -> FakedRun:
    return FakedRun(vlm, tmp_path / "journal", monkeypatch)


# Killed for real


def test_a_run_killed_at_random_moments_loses_nothing_and_repeats_no_finished_request(
    tmp_path,
) -> None:
    small = merged(merged(SMALL, tiny_model(tmp_path)), TINY)
    prepare(tmp_path, write_params(tmp_path, small))
    words = [str(tmp_path), str(N_KILLS), "1"]
    done = forked.run(forked.Program("killed_runs", words, ROOT))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.get("n_kills") == N_KILLS, report
    for one in report["runs"]:
        assert one["orders"] == report["whole"]["orders"] == list(range(40))
        # The one in flight, at the most: as many as there were kills, none of them twice in a row.
        assert one["n_begun"] - 40 <= one["n_kills"]
        assert one["n_resumed"] <= one["n_kills"]
        assert one["journals_left"] == 0
    assert sum(one["n_resumed"] for one in report["runs"]) > 0


# Cut off and damaged


def test_cut_off_anywhere_a_journal_is_resumed_from_its_last_whole_line(run) -> None:
    run.go()
    whole, places = run.journal().read_bytes(), random.Random(1)
    for n in places.sample(range(len(whole)), 12):
        run.journal().write_bytes(whole[:n])
        kept = sum(b'"kind":"row"' in line for line in whole[:n].split(b"\n")[:-1])
        run.begun.clear()
        assert orders(run.go().rows) == list(range(run.n_planned))
        assert len(set(run.begun)) == len(run.begun) == run.n_planned - kept


def test_a_run_that_was_stopped_is_warmed_up_again_and_says_when_it_was_resumed(run) -> None:
    run.before = raising(Killed(), lambda _, planned: planned.order == 50)
    with pytest.raises(Killed):
        run.go()
    n_warmed = len(run.warmed)
    run.before = lambda one, planned: None
    rows = run.go().rows
    assert orders(rows) == list(range(run.n_planned))
    assert run.begun == [*range(51), *range(50, run.n_planned)]
    assert len(run.warmed) == 2 * n_warmed
    with run.open() as journal:
        assert len(journal.resumed_at) == 1
        assert journal.resumed_at[0] >= journal.started_at


def test_a_run_that_was_stopped_while_it_wrote_measures_nothing_again(run) -> None:
    first = run.go()
    n_begun, n_warmed = len(run.begun), len(run.warmed)
    again = run.go()
    assert again.rows == first.rows
    assert (len(run.begun), len(run.warmed)) == (n_begun, n_warmed)


def finish(run) -> Journals:
    """Finish a run, as the stage does."""
    run.go()
    journals = Journals(run.folder, run.folder.parent)
    with run.open() as journal:
        journals.finish(journal)
    return journals


def test_a_finished_run_leaves_nothing_to_resume(run, monkeypatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    finish(run)
    assert list(run.folder.iterdir()) == []
    run.go()
    assert len(run.begun) == 2 * run.n_planned


def test_a_run_that_dvc_did_not_get_to_record_is_not_measured_again(run, monkeypatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "profile")
    lock = run.folder.parent / "dvc.lock"
    lock.touch()
    os.utime(lock, ns=(1, 1))
    finish(run)
    run.go()
    assert len(run.begun) == run.n_planned


def test_a_run_that_dvc_recorded_is_measured_afresh(run, monkeypatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "profile")
    finish(run)
    later = time.time_ns() + 1_000_000
    (run.folder.parent / "dvc.lock").touch()
    os.utime(run.folder.parent / "dvc.lock", ns=(later, later))
    measured = run.go()
    assert len(run.begun) == 2 * run.n_planned
    assert orders(measured.rows) == list(range(run.n_planned))


def test_finished_journals_of_other_runs_do_not_pile_up(run, monkeypatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "profile")
    finish(run)
    assert len(list(run.folder.iterdir())) == 1
    with run.open(code="1") as other:
        assert list(run.folder.iterdir()) == [other.path]
    # One that is not finished stays: its run may yet resume.
    with run.open() as journal:
        assert set(run.folder.iterdir()) == {journal.path, other.path}


def test_what_was_seen_of_the_machine_outlives_an_interruption(run, vlm) -> None:
    looks = [
        Look(elapsed_s=30.0, cpu_others_share=0.5, core_mhz=2000.0, gpu=None),
        Look(elapsed_s=60.0, cpu_others_share=0.4, core_mhz=3000.0, gpu=None),
    ]
    with run.open() as journal:
        journal.warm(WarmUp(change=0.3, n_windows=2))
        for look in looks:
            journal.look(look)
    with run.open() as journal:
        watch = MachineWatch(vlm.device, earlier=journal.looks)
        state = watch.state()
        assert state.cpu_others_share == pytest.approx(0.4, rel=0.01)
        assert state.cpu_mhz is not None
        assert (state.cpu_mhz.low, state.cpu_mhz.high) == (2000, 3000)
        assert watch.duration_s == pytest.approx(60, abs=1)
    # Of two warm-ups, that which came less to rest counts.
    assert run.go().seen.warmup == WarmUp(change=0.3, n_windows=2)


# Of another run


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": {"model_fingerprint": "1"}},
        {"origin": {"model_fingerprint": "0", "dtype": "bfloat16"}},
        {"device": "GPU-2"},
        {"model": {"experts": "grouped_mm"}},
        {"knobs": {"top_k": [2]}},
        {"profile": {"session": 2}},
        {"kept_blocks": {"4": (0, 1, 2, 7)}},
        {"code": "1"},
    ],
)
def test_rows_of_another_run_are_never_mixed_in(run, changes) -> None:
    run.before = raising(Killed(), lambda _, planned: planned.order == 50)
    with pytest.raises(Killed):
        run.go()
    run.before = lambda one, planned: None
    run.begun.clear()
    run.go(**changes)
    assert run.begun == list(range(run.n_planned))


def test_a_journal_under_the_name_of_another_is_refused(run) -> None:
    run.go()
    with run.open(code="1") as other:
        pass
    (first,) = (path for path in run.folder.iterdir() if path != other.path)
    other.path.write_bytes(first.read_bytes())
    with pytest.raises(UserError, match=r"not the journal of this run.*delete it"):
        run.go(code="1")


def test_the_key_holds_whatever_decides_what_a_row_means(vlm, tmp_path, monkeypatch) -> None:
    sections = load_params(ROOT / "params.yaml")
    prepared = {w: prepared_in(tmp_path, REQUEST, workload=w) for w in WORKLOADS}

    def made(**changes) -> str:
        given = {"prepared": prepared, "model": sections.model, "knobs": sections.knobs}
        given |= {"profile": sections.profile} | changes
        return journal_key(vlm, **given).model_dump_json()

    def changed(section, **changes) -> str:
        return made(**{section: getattr(sections, section).model_copy(update=changes)})

    same = made()
    assert made() == changed("profile", strict=True) == same
    other = PreparedRequests(
        prepared["qa"].record.model_copy(update={"fingerprint": "1"}), tmp_path
    )
    keys = [
        same,
        made(prepared=prepared | {"qa": other}),
        changed("model", dtype="bfloat16"),
        changed("profile", session=2),
        changed("profile", decode_mode="reference_length"),
        made(knobs=KnobParams(vision_tokens=[16], top_k=[4], active_blocks=[8])),
    ]
    for name, value in {
        "source_fingerprint": lambda *_: "other",
        "kept_blocks": lambda *_: {"4": (0, 1, 2, 7)},
        "_which": lambda _: "GPU-2",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(journal_module, name, value)
            keys.append(made())
    with monkeypatch.context() as patch:
        patch.setitem(vars(vlm), "fingerprint", "other")
        keys.append(made())
    with monkeypatch.context() as patch:
        patch.setattr("m1.profiling.provenance.version", lambda _: "0")
        keys.append(made())
    assert len(set(keys)) == len(keys) == 11
