"""What is measured once beside the requests does not take the run with it."""

import torch
from whole_run import SMALL, merged, write_params

from m1.files import read_record, read_rows
from m1.profiling.facts.runtime_comparison import agreement_of, check_runtime
from m1.schemas.profile import STAGES, MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.vlm.runtime.eager import EagerRuntime
from stages import prepare, profiling

FEW = {"qa": 2, "captioning": 2}
TINY = merged(
    SMALL,
    {
        "data": {"qa": {"n_requests": 6}},
        "knobs": {"active_blocks": 8},
        "profile": {"e1_requests": FEW, "e2_requests": FEW, "observer_requests": FEW},
    },
)


def test_a_setting_without_memory_has_no_work_and_the_others_are_measured(
    tmp_path, monkeypatch
) -> None:
    params = write_params(tmp_path, TINY)
    for w in WORKLOADS:
        prepare.main(w, params, tmp_path / "requests" / w)
    prefill = EagerRuntime.prefill

    def full(runtime, inputs) -> tuple[torch.Tensor, object]:
        if inputs["input_ids"].shape[1] < 100:  # 16 visual tokens instead of 144
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return prefill(runtime, inputs)

    monkeypatch.setattr(EagerRuntime, "prefill", full)
    profiling.main(tmp_path / "requests", params, tmp_path / "journal", tmp_path / "out")
    run = read_record(ProfileRun, tmp_path / "out/run.json")
    assert {(cell.workload, cell.setting.label) for cell in run.failed} == {
        (w, "16/4/8") for w in WORKLOADS
    }
    assert [(cell.workload, cell.setting.label) for cell in run.work] == [
        (w, "144/4/8") for w in WORKLOADS
    ]
    for cell in run.work:
        assert all(cell.stages[stage].operations > 0 for stage in STAGES)
    rows = read_rows(MeasuredRequest, tmp_path / "out/rows.parquet")
    assert set(rows["vision_tokens"].dropna()) == {144}


def test_runtimes_that_could_not_be_compared_do_not_pass() -> None:
    (check,) = check_runtime(agreement_of([]), 2.0)
    assert (check.passed, check.value) == (False, None)
    assert list(check_runtime(None, 2.0)) == []
