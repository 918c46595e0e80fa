"""A cell that fails does not take the run with it; Ctrl-C ends it without loss."""

import errno
import os
import signal
import weakref
from collections.abc import Callable

import pytest
import torch
from faked_run import WORLD, Before, FakedRun, orders, raising
from simulated import simulate_run
from whole_run import SMALL, merged, prepare, tiny_model, write_params

from m1.errors import UserError
from m1.files import read_record
from m1.params import load_params
from m1.profiling.ctrl_c import CtrlC
from m1.profiling.run import Measure
from m1.profiling.timing.request import Attempt, measure
from m1.profiling.whole import Places, profile
from m1.schemas.profile import ProfileRun
from m1.vlm.engine import NotFiniteError

LAST = WORLD.grid[-1]
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words.")


@pytest.fixture
def run(vlm, tmp_path, monkeypatch) -> FakedRun:
    return FakedRun(vlm, tmp_path / "journal", monkeypatch)


def of_last(one, planned) -> bool:
    """A request that counts, of captions at the last setting."""
    return (one.experiment, one.workload, one.setting) == ("e2", "captioning", LAST)


def places_of(run, chosen) -> list[int]:
    return [p.order for one in run.profiler._plan() for p in one.planned if chosen(one, p)]


def without_last(run) -> list[int]:
    return sorted(set(range(run.n_planned)) - set(places_of(run, of_last)))


def test_a_cell_without_memory_is_noted_and_all_others_are_measured(run) -> None:
    places = places_of(run, of_last)
    run.before = raising(FULL, lambda one, p: of_last(one, p) and p.order == places[2])
    measured = run.go()
    (failed,) = measured.failed
    assert failed.told == (
        f"e2 captioning {LAST.label}: OutOfMemoryError: CUDA out of memory. Tried to allocate "
        "2.00 GiB. More words."
    )
    assert (failed.order, failed.n_measured) == (places[2], 2)
    assert orders(measured.rows) == without_last(run)
    assert set(places[3:]).isdisjoint(run.begun)


def test_a_cell_that_fails_in_warm_up_is_not_tried_again(run) -> None:
    run.before = raising(RuntimeError("no kernel"), of_last)
    measured = run.go()
    (failed,) = measured.failed
    places = places_of(run, of_last)
    assert (failed.reason, failed.order, failed.n_measured) == (
        "RuntimeError: no kernel",
        places[0],
        0,
    )
    assert set(places).isdisjoint(run.begun)
    assert orders(measured.rows) == without_last(run)


def test_a_resumed_run_leaves_failed_cells_alone(run) -> None:
    places = places_of(run, of_last)
    run.before = raising(FULL, lambda one, p: of_last(one, p) and p.order == places[1])
    first = run.go()
    run.begun.clear()
    run.warmed.clear()
    journal = run.journal()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-5]))
    run.before = lambda one, planned: None
    again = run.go()
    assert (again.failed, orders(again.rows)) == (first.failed, orders(first.rows))
    assert not any(of_last(one, None) for one in run.warmed)


def test_cells_that_failed_can_be_tried_again_alone(run) -> None:
    places = places_of(run, of_last)
    run.before = raising(FULL, lambda one, p: of_last(one, p) and p.order == places[2])
    run.go()
    with run.open() as journal:
        journal.retry()
    run.begun.clear()
    run.before = lambda one, planned: None
    again = run.go()
    assert (again.failed, orders(again.rows)) == ((), list(range(run.n_planned)))
    assert run.begun == places[2:]


def test_the_memory_of_a_failed_request_is_free_before_the_next_begins(run) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def fill(one, planned) -> None:
        assert all(tensor() is None for tensor in held)
        if of_last(one, planned) and planned.order >= 0:
            tensor = torch.zeros(10)
            held.append(weakref.ref(tensor))
            raise torch.OutOfMemoryError("CUDA out of memory.")

    run.before = fill
    run.go()
    assert len(held) == 1


@pytest.mark.parametrize("experiment", ["e1", "e2"])
def test_without_the_reference_a_run_ends(run, experiment) -> None:
    def at_reference(one, planned) -> bool:
        cell = (one.experiment, one.workload, one.setting)
        return cell == (experiment, "qa", WORLD.grid[0]) and planned.order > 50

    run.before = raising(FULL, at_reference)
    told = rf"qa: the reference setting {WORLD.grid[0].label} cannot be measured \(OutOfMemory"
    with pytest.raises(UserError, match=told) as error:
        run.go()
    assert "\n" not in str(error.value)
    # Memory may have been freed since: the next run tries again, and repeats nothing else.
    n_begun = len(run.begun)
    run.before = lambda one, planned: None
    assert orders(run.go().rows) == list(range(run.n_planned))
    assert len(run.begun) == run.n_planned + 1 > n_begun


def test_logits_that_are_not_finite_fail_a_cell_or_the_run(run, vlm) -> None:
    broken = NotFiniteError("the logits of output token 1 are", vlm)
    run.before = raising(broken, of_last)
    (failed,) = run.go().failed
    assert failed.reason == (
        "NotFiniteError: the logits of output token 1 are not finite in float32"
    )
    run.before = raising(broken, lambda one, _: one.setting == WORLD.grid[0])
    with pytest.raises(UserError, match=r"nothing to compare with: check the model's weights"):
        run.go(code="1")


def test_observer_pairs_can_be_done_without(run) -> None:
    run.before = raising(FULL, lambda one, planned: one.experiment == "observer")
    assert {cell.experiment for cell in run.go().failed} == {"observer"}


def test_a_cell_that_fails_in_both_decode_modes_is_told_twice(vlm, tmp_path, monkeypatch) -> None:
    run = FakedRun(vlm, tmp_path / "journal", monkeypatch, decode_mode="both")
    run.before = raising(FULL, lambda one, planned: of_last(one, planned) and planned.order >= 0)
    measured = run.go()
    assert {cell.place for cell in measured.failed} == {
        LAST.label,
        f"{LAST.label} at reference length",
    }
    assert len(measured.failed) == 2
    assert orders(measured.rows) == without_last(run)


def test_a_mistake_of_the_users_ends_the_run(run) -> None:
    run.before = raising(UserError("photo.jpg: not an image"), of_last)
    with pytest.raises(UserError, match="not an image"):
        run.go()


def test_a_setting_that_failed_is_left_out_of_the_grid_of_both_workloads(run) -> None:
    run.before = raising(FULL, of_last)
    record = simulate_run(WORLD).model_copy(update={"failed": run.go().failed})
    assert record.measured_grid == WORLD.grid[:-1]
    assert ProfileRun.model_validate_json(record.model_dump_json()) == record


# Through the stage


@pytest.fixture
def stage(tmp_path, monkeypatch) -> Callable[[bool, Measure], ProfileRun]:
    """The stage on a small plan, strict or not, with a way to measure."""
    monkeypatch.delenv("DVC_STAGE", raising=False)
    small = merged(SMALL, tiny_model(tmp_path))
    prepare(tmp_path, write_params(tmp_path, small))

    def run(strict: bool, measure: Measure) -> ProfileRun:
        p = load_params(write_params(tmp_path, merged(small, {"profile": {"strict": strict}})))
        places = Places(*(tmp_path / place for place in ("requests", "journal", "out")))
        profile(places, p.model, p.knobs, p.profile, p.validity, measure)
        return read_record(ProfileRun, tmp_path / "out" / "run.json")

    return run


def test_a_failed_cell_fails_the_stage_only_where_that_was_asked_for(stage, tmp_path) -> None:
    last = load_params(tmp_path / "params.yaml").knobs.grid()[-1]

    def without_memory(vlm, planned, one, *rest) -> Attempt:
        if (one.experiment, one.workload, one.setting) == ("e2", "captioning", last):
            raise FULL
        return measure(vlm, planned, one, *rest)

    run = stage(strict=False, measure=without_memory)
    assert [(c.workload, c.setting) for c in run.failed] == [("captioning", last)]
    assert run.n_rows == 54
    assert list((tmp_path / "journal").iterdir()) == []
    with pytest.raises(UserError, match=r"1 of the cells could not be measured.*tries them again"):
        stage(strict=True, measure=without_memory)
    assert read_record(ProfileRun, tmp_path / "out" / "run.json").n_rows == 54
    # Memory was freed: only what failed is tried again.
    run = stage(strict=True, measure=measure)
    assert (run.failed, run.n_rows, len(run.provenance.resumed_at)) == ((), 56, 1)


# Ctrl-C and a full disk


def interrupt(times: int) -> Before:
    def before(_, planned) -> None:
        if planned.order == 20:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return before


def noted(run) -> list[int]:
    with run.open() as journal:
        return list(journal.rows)


@pytest.mark.parametrize(("times", "kept"), [(1, 21), (2, 20)])
def test_ctrl_c_finishes_the_request_and_twice_does_not(run, capfd, times, kept) -> None:
    run.before = interrupt(times)
    with pytest.raises(SystemExit) as left, CtrlC() as ctrl_c:
        run.go(ctrl_c.one_request)
    assert left.value.code == 130
    told = capfd.readouterr().err
    assert told.count("finishing this request; Ctrl-C once more leaves at once") == 1
    assert told.splitlines()[-1] == (
        "stopped by Ctrl-C; what was measured is kept, and `dvc repro` resumes"
    )
    assert noted(run) == list(range(kept))
    run.before = lambda one, planned: None
    assert orders(run.go().rows) == list(range(run.n_planned))


def test_ctrl_c_while_nothing_is_measured_leaves_at_once(capfd) -> None:
    with pytest.raises(SystemExit), CtrlC():
        signal.raise_signal(signal.SIGINT)
    assert "finishing" not in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_disk_that_fills_up_ends_the_run_in_one_line_and_loses_nothing(run, monkeypatch) -> None:
    synced = os.fsync

    def full(handle: int) -> None:
        if len(run.begun) == 30:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"jsonl: cannot be written \(No space left") as error:
            run.go()
    assert "\n" not in str(error.value)
    run.go()
    assert sorted(set(run.begun)) == list(range(run.n_planned))
    assert len(run.begun) <= run.n_planned + 1
