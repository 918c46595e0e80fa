"""In the compiled runtime all shapes are recorded before the first request that counts."""

from dataclasses import replace

import pytest
import torch
from faked_run import key
from recorder import Recorder
from whole_run import ROOT, SMALL, merged, prepare, write_params

from m1.params import load_params
from m1.prepared import read_prepared
from m1.profiling.journal.journal import Journal
from m1.profiling.run import Profiler
from m1.profiling.timing.request import Attempt, measure
from m1.vlm.loading.load import load_vlm
from m1.vlm.runtime.compiled import CompiledRuntime

TINY = {
    "model": {"experts": "grouped_mm"},
    "knobs": {"design": "one_at_a_time"},
    "profile": {"max_new_tokens": {"qa": 3, "captioning": 4}, "warmup_limit": 2},
}


def test_no_request_that_counts_waits_for_a_recording(tmp_path) -> None:
    path = write_params(tmp_path, merged(SMALL, TINY))
    params, folder = load_params(path), prepare(tmp_path, path)
    torch._dynamo.reset()
    recorder = Recorder()
    vlm = load_vlm(params.model)
    runtime = CompiledRuntime(vlm.structure, backend="eager", recorder=recorder)
    quick = replace(vlm, runtime=runtime)
    waited = []

    def watched(vlm, planned, *others) -> Attempt:
        before = recorder.n_recorded
        attempt = measure(vlm, planned, *others)
        waited.append((planned.order, recorder.n_recorded - before))
        return attempt

    grid = params.knobs.grid()
    profiler = Profiler(quick, read_prepared(folder), grid, params.profile, watched)
    profiler.check_and_reserve()
    with Journal(tmp_path / "journal", key()) as journal:
        measured = profiler.run(0.1, journal)
    counted = [n for order, n in waited if order >= 0]
    assert len(counted) == len(measured.rows) > 0
    assert sum(counted) == 0
    assert sum(n for order, n in waited if order < 0) == recorder.n_recorded > 0
    assert profiler.prompt_graphs == {"vision_tower": "whole", "language_model": "whole"}
    shown = {(row.active_blocks, row.observed_active_blocks) for row in measured.rows if row.marked}
    assert shown == {(8, 8), (4, 4), (None, 8)}  # anchors leave the model as it is


@pytest.mark.parametrize("runtime", [None, CompiledRuntime])
def test_nothing_is_recorded_where_no_recorder_is(vlm, runtime) -> None:
    changed = replace(vlm, runtime=runtime(vlm.structure)) if runtime else vlm
    params = load_params(ROOT / "params.yaml")
    assert Profiler(changed, {}, params.knobs.grid(), params.profile).prompt_graphs is None
