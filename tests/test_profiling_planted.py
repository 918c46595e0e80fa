"""Marks made slow on purpose in a real run: it is invalid, and says everywhere why."""

import time
from pathlib import Path

import pytest
import yaml
from test_figures import caption, texts
from whole_run import SMALL, merged, write_params

from m1.figures.stage_breakdown import draw_stage_breakdown
from m1.files import read_record, read_rows
from m1.profiling.timing.clocks import CpuClock
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import Summary, WorkloadContrast
from stages import answers, contrast, figures, pareto, prepare, profiling

MARK_S = 0.01
TINY = merged(
    SMALL,
    {
        "data": {"qa": {"n_requests": 9}},
        "knobs": {"active_blocks": [8]},
        "profile": {"e1_requests": {"qa": 9}},
        "quality": {"n_requests": {"qa": 4, "captioning": 2}},
        "analysis": {"n_resamples": 100},
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A whole run in which every mark takes 10 ms before it is noted."""
    folder = tmp_path_factory.mktemp("planted")
    params = write_params(folder, TINY)
    for w in WORKLOADS:
        prepare.main(w, params, folder / "requests" / w)
    note = CpuClock._note

    def slow(clock) -> None:
        time.sleep(MARK_S)
        note(clock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CpuClock, "_note", slow)
        profiling.main(folder / "requests", params, folder / "journal", folder / "profile")
        answers.main(folder / "requests", params, folder / "kept", folder / "answers")
    for w in WORKLOADS:
        pareto.main(
            w,
            folder / "requests" / w / "requests.json",
            folder / f"scores/{w}.parquet",
            folder / f"metrics/e2_pareto_{w}.json",
            folder / "profile",
            folder / "answers",
            params,
        )
    contrast.main(
        folder / "profile/rows.parquet",
        folder / "profile/run.json",
        folder / "scores",
        folder / "metrics",
        params,
        folder / "metrics",
        folder / "plots",
    )
    drawn = folder / "metrics/m1_workload_contrast.json"
    figures.main(drawn, folder / "plots/latency_cdf.json", folder / "figures")
    return folder


def reason(folder) -> str:
    """Why the run is invalid, as far as marks are the reason."""
    validity = read_record(ProfileRun, folder / "profile/run.json").validity
    assert validity.verdict == "invalid"
    (check,) = [check for check in validity.checks if check.name == "observer_effect"]
    assert check.detail in validity.reasons
    return check.detail


def test_the_slow_marks_are_measured_and_are_a_reason(folder) -> None:
    assert "change of latency by the marks" in reason(folder)
    run = read_record(ProfileRun, folder / "profile/run.json")
    value = {check.name: check.value for check in run.validity.checks}["observer_effect"]
    limit = yaml.safe_load((folder / "params.yaml").read_text())["validity"]["observer_effect"]
    # Five marks take 50 ms at the least, a request some 30 ms.
    assert value is not None
    assert value > 5 * limit


def test_the_results_are_written_all_the_same(folder) -> None:
    rows = read_rows(MeasuredRequest, folder / "profile/rows.parquet")
    assert set(rows["experiment"]) == {"e1", "e2", "observer", "anchor"}
    assert len(list((folder / "figures").glob("*.png"))) == 7
    result = read_record(WorkloadContrast, folder / "metrics/m1_workload_contrast.json")
    assert result.latency["qa"].mean_ms.value > 5 * 1000 * MARK_S


def test_summary_contrast_and_figure_say_why(folder) -> None:
    summary = read_record(Summary, folder / "metrics/summary.json")
    assert summary.valid == "no"
    result = read_record(WorkloadContrast, folder / "metrics/m1_workload_contrast.json")
    assert reason(folder) in result.validity.reasons
    assert summary.failed_checks == len(result.validity.reasons)
    figure = draw_stage_breakdown(result)
    assert "INVALID RUN" in texts(figure)
    assert reason(folder) in caption(figure)
