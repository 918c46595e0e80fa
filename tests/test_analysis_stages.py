"""The commands of the pipeline, run on simulated files."""

import json
import re
import resource
import shutil
import subprocess
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TypeVar

import forked
import pytest
from simulated import (
    World,
    simulate_answers,
    simulate_answers_run,
    simulate_project,
    simulate_rows,
    simulate_run,
)
from typer.testing import CliRunner

from m1.analysis.contrast.summary import rounded
from m1.cli import app
from m1.files import read_record, read_rows, write_record, write_rows
from m1.origin import rows_fingerprint
from m1.schemas.answers import Answer, AnswersRun
from m1.schemas.markup import Marks, Markup
from m1.schemas.profile import STAGES, FailedCell, MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import (
    Frontier,
    ParetoResult,
    ScoredAnswer,
    StageResult,
    Summary,
    WorkloadContrast,
)
from m1.schemas.settings import KNOBS

T = TypeVar("T", MeasuredRequest, Answer)

FRONTIER_FIELDS = {
    "workload", "setting", "latency_ms", "latency_low", "latency_high", "quality", "quality_low",
    "quality_high", "on_frontier", "frontier_share", "vision_tokens", "top_k", "active_blocks",
    "n_timed", "n_scored", "validity",
}  # fmt: skip
STAGE_FIELDS = {
    "workload", "stage", "mean_ms", "low", "high", "share", "start_ms", "end_ms", "n_requests",
    "validity",
}  # fmt: skip
DECODE_FIELDS = {
    "workload", "knob", "value", "part", "change_percent", "low", "high", "change_ms",
    "n_requests", "validity",
}  # fmt: skip
COUPLING_FIELDS = {
    "workload", "panel", "value", "hypervolume", "low", "high", "change", "n_timed", "n_scored",
    "validity",
}  # fmt: skip
SENSITIVITY_FIELDS = {
    "workload", "knob", "value", "change_percent", "low", "high", "n_requests", "validity",
}  # fmt: skip
WORLD = World(
    vision_tokens=(144, 16),
    top_k=(4, 2),
    active_blocks=(8, 6, 4),
    e2_requests=30,
    answered_requests=34,
    n_trials=30,
)
WHY = "The weights are random, so answers mean nothing."


def run_stage(
    folder: Path, name: str, *options: str, largest_file: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    """Run a stage; no file that it writes may grow beyond a number of bytes."""
    program = forked.Program(f"stages.{name}", options, folder, largest_file=largest_file)
    return forked.run(program)


def pareto_options(workload: str) -> dict[str, str]:
    return {
        "--workload": workload,
        "--requests": f"data/requests/{workload}/requests.json",
        "--scores": f"data/scores/{workload}.parquet",
        "--out": f"metrics/e2_pareto_{workload}.json",
    }


def analyse(folder: Path, world: World, not_available: str | None = None) -> None:
    simulate_project(folder, world, not_available)
    commands = [["pareto", *chain(*pareto_options(w).items())] for w in WORKLOADS]
    for name, *options in [*commands, ["contrast"]]:
        done = run_stage(folder, name, *options)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    analyse(folder, WORLD)
    return folder


def plot_rows(project: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((project / f"plots/data/{name}.json").read_text())
    return rows


def read_contrast(project: Path) -> WorkloadContrast:
    return read_record(WorkloadContrast, project / "metrics/m1_workload_contrast.json")


def read_frontier(project: Path, workload: str) -> Frontier:
    frontier = read_record(ParetoResult, project / f"metrics/e2_pareto_{workload}.json").frontier
    assert frontier is not None
    return frontier


@pytest.mark.parametrize("workload", WORKLOADS)
def test_pareto_writes_scores_and_frontier(project: Path, workload: str) -> None:
    scores = read_rows(ScoredAnswer, project / f"data/scores/{workload}.parquet")
    assert len(scores) == len(WORLD.grid) * 34
    assert set(scores["workload"]) == {workload}
    frontier = read_frontier(project, workload)
    assert (frontier.timed.n_requests, frontier.scored.n_requests) == (30, 34)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_frontiers_are_drawn_point_by_point(project: Path, workload: str) -> None:
    frontier = read_frontier(project, workload)
    rows = plot_rows(project, f"frontier_{workload}")
    assert [row["setting"] for row in rows] == [point.label for point in frontier.points]
    assert {(row["n_timed"], row["n_scored"]) for row in rows} == {(30, 34)}
    assert all(row.keys() == FRONTIER_FIELDS for row in rows)
    assert [row["on_frontier"] for row in rows] == [p.on_frontier for p in frontier.points]


def thoughtful(one: T) -> T:
    """The same output, after some reasoning."""
    return one.model_copy(update={"output_text": f"<think>So?</think>\n{one.output_text}"})


@pytest.mark.parametrize("workload", WORKLOADS)
def test_reasoning_that_the_model_marks_changes_no_score(
    project: Path, tmp_path: Path, workload: str
) -> None:
    simulate_project(tmp_path, WORLD)
    rows = simulate_rows(0, WORLD)
    thought_rows = [thoughtful(row) for row in rows]
    answers = [thoughtful(answer) for answer in simulate_answers(rows, WORLD)]
    write_rows(thought_rows, tmp_path / "data/profile/rows.parquet")
    write_record(simulate_run(WORLD, thought_rows), tmp_path / "data/profile/run.json")
    write_rows(answers, tmp_path / "data/answers/answers.parquet")
    answered = simulate_answers_run(WORLD, answers)
    assert answered.made is not None
    markup = Markup(reasoning=(Marks(opening="<think>", closing="</think>"),))
    answered = AnswersRun(
        made=answered.made.model_copy(update={"markup": markup}), not_available=None
    )
    write_record(answered, tmp_path / "data/answers/run.json")
    done = run_stage(tmp_path, "pareto", *chain(*pareto_options(workload).items()))
    assert done.returncode == 0, done.stderr
    metrics = f"metrics/e2_pareto_{workload}.json"
    found, plain = (read_record(ParetoResult, one / metrics) for one in (tmp_path, project))
    assert found.frontier == plain.frontier
    assert found.agreement == plain.agreement
    scores = read_rows(ScoredAnswer, tmp_path / f"data/scores/{workload}.parquet")
    assert scores["output_text"].str.startswith("<think>").all()
    assert not scores["scored_text"].str.contains("think").any()


def test_contrast_carries_e1_e2_and_the_run(project: Path) -> None:
    contrast, run = read_contrast(project), simulate_run(WORLD)
    stages = read_record(StageResult, project / "metrics/e1_stage_latency.json")
    assert stages.model_dump(exclude={"schema_version"}).items() <= contrast.model_dump().items()
    assert contrast.provenance == run.provenance
    assert contrast.validity.verdict == "valid"
    assert [(check.name, check.value) for check in contrast.validity.checks] == [("answers", 34)]
    assert contrast.confidence == 0.95
    frontiers = {w: read_frontier(project, w) for w in WORKLOADS}
    assert contrast.quality_not_available is None
    assert contrast.frontiers == frontiers
    assert contrast.optimal_settings == {w: frontiers[w].best_settings for w in WORKLOADS}
    for workload in WORKLOADS:
        pareto = read_record(ParetoResult, project / f"metrics/e2_pareto_{workload}.json")
        assert contrast.agreement is not None
        assert contrast.agreement[workload] == pareto.agreement
        assert contrast.timed[workload].n_requests == 30
        assert set(contrast.sensitivity[workload]) == set(KNOBS)
    assert len(contrast.findings) == 8


def test_each_chart_bears_the_verdict_on_the_run(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("min_answers: 5", "min_answers: 50"))
    done = run_stage(folder, "contrast")
    assert done.returncode == 0, done.stderr
    for chart in (folder / "plots/data").iterdir():
        found = [
            {row["validity"] for row in plot_rows(one, chart.stem)} for one in (project, folder)
        ]
        assert found == [{"valid"}, {"INVALID: answers"}], chart


def test_the_answers_tell_the_speed_of_decode_that_is_split(project: Path) -> None:
    contrast = read_contrast(project)
    _, _, told = contrast.answers.latency_difference.partition("Each after the first takes ")
    values = [float(text) for text in re.findall(r"([\d.]+) ms", told.partition(". ")[0])]
    speeds = [contrast.decode_split[w].reference_ms_per_step for w in WORKLOADS]
    assert values == [pytest.approx(speed.value, rel=0.005) for speed in speeds if speed]


def test_summary_is_the_contrast_rounded(project: Path) -> None:
    contrast = read_contrast(project)
    summary = read_record(Summary, project / "metrics/summary.json")
    verdicts = [finding.verdict for finding in contrast.findings]
    assert summary.valid == "yes"
    assert summary.findings_supported == verdicts.count("supported") > 0
    assert summary.findings_refuted == verdicts.count("refuted")
    p50 = contrast.latency["captioning"].p50_ms
    assert p50 is not None
    assert summary.captioning_ms == float(f"{p50.value:.4g}")
    assert summary.qa.p99_ms is None
    assert summary.qa.preprocess_p50_ms == 1.5
    early = sum(
        stage.share.value
        for name, stage in contrast.stage_breakdown["qa"].items()
        if name != "decode"
    )
    assert summary.qa.before_first_token_share == pytest.approx(early, rel=1e-3)
    frontier = read_frontier(project, "qa")
    best = {b.level: b.label for b in frontier.best_settings}
    assert summary.qa.best_setting == best[0.9]
    reference = next(p for p in frontier.points if p.setting == contrast.reference)
    assert summary.qa.reference_quality == pytest.approx(reference.quality.value, rel=1e-3)


def test_rounding_keeps_four_digits_and_what_is_no_fraction() -> None:
    value = {"a": 123.456, "b": {"c": 0.000123456, "d": None}, "e": True, "f": 12345, "g": "1/2"}
    expected = {"a": 123.5, "b": {"c": 0.0001235, "d": None}, "e": True, "f": 12345, "g": "1/2"}
    assert rounded(value) == expected


def test_stages_are_stacked(project: Path) -> None:
    rows = plot_rows(project, "stage_breakdown")
    assert all(row.keys() == STAGE_FIELDS for row in rows)
    assert len(rows) == 12
    for workload in WORKLOADS:
        bars = [row for row in rows if row["workload"] == workload]
        before, stages = bars[:2], bars[2:]
        assert [bar["stage"] for bar in bars] == ["open image", "processor", *STAGES]
        assert (before[0]["start_ms"], before[-1]["end_ms"], stages[0]["start_ms"]) == (-1.5, 0, 0)
        for bar, following in pairwise(bars):
            assert bar["end_ms"] == following["start_ms"]
        for bar in bars:
            assert bar["end_ms"] - bar["start_ms"] == pytest.approx(bar["mean_ms"])
        total_ms = read_contrast(project).latency[workload].mean_ms.value
        assert stages[-1]["end_ms"] == pytest.approx(total_ms)
        assert sum(bar["share"] for bar in stages) == pytest.approx(1)
        assert sum(bar["share"] for bar in before) == pytest.approx(1.5 / total_ms)


def test_latency_curve_rises_to_all_requests(project: Path) -> None:
    rows = plot_rows(project, "latency_cdf")
    for workload in WORKLOADS:
        curve = [row for row in rows if row["workload"] == workload]
        assert len(curve) == WORLD.e1_requests
        times = [row["latency_ms"] for row in curve]
        assert times == sorted(times)
        assert curve[0]["share_of_requests"] == pytest.approx(1 / len(curve))
        assert curve[-1]["share_of_requests"] == 1


def test_sensitivity_has_every_value_but_the_reference(project: Path) -> None:
    rows = plot_rows(project, "knob_sensitivity")
    assert all(row.keys() == SENSITIVITY_FIELDS for row in rows)
    expected = [("vision_tokens", 16), ("top_k", 2), ("active_blocks", 6), ("active_blocks", 4)]
    for workload in WORKLOADS:
        mine = [(r["knob"], r["value"]) for r in rows if r["workload"] == workload]
        assert mine == expected


def test_decode_is_split_for_every_value_but_the_reference(project: Path) -> None:
    rows, contrast = plot_rows(project, "decode_split"), read_contrast(project)
    assert all(row.keys() == DECODE_FIELDS for row in rows)
    moves = [(row["workload"], row["knob"], row["value"]) for row in rows]
    sensitive = plot_rows(project, "knob_sensitivity")
    assert moves[::2] == [(r["workload"], r["knob"], r["value"]) for r in sensitive]
    assert moves[::2] == moves[1::2]
    assert [row["part"] for row in rows] == ["length", "speed"] * (len(rows) // 2)
    for workload in WORKLOADS:
        splits = contrast.decode_split[workload]
        assert [one.setting for one in splits.settings] == list(WORLD.grid[1:])
        for split in splits.settings:
            # Outputs of the simulated world are equally long at every setting.
            assert (split.ms.length.value, split.ms.speed) == (0, split.ms.change)


def test_coupling_is_drawn_for_every_value_each_knob_and_all(project: Path) -> None:
    rows = plot_rows(project, "knob_coupling")
    assert all(row.keys() == COUPLING_FIELDS for row in rows)
    for workload in WORKLOADS:
        mine = [(r["panel"], r["value"]) for r in rows if r["workload"] == workload]
        fixed = [(f"{knob} fixed", str(v)) for knob in KNOBS for v in getattr(WORLD, knob)]
        assert mine == [*fixed, *(("moving one knob or all", name) for name in (*KNOBS, "all"))]
        joint = rows[[r["workload"] for r in rows].index(workload) + len(mine) - 1]
        assert joint["hypervolume"] == read_frontier(project, workload).hypervolume.value


# Both decode modes


@pytest.fixture(scope="module")
def both_modes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both_modes")
    analyse(folder, replace(WORLD, decode_mode="both", stage_noise=0.0))
    return folder


def test_a_second_decode_mode_changes_nothing_about_the_first(both_modes: Path) -> None:
    contrast, world = read_contrast(both_modes), replace(WORLD, decode_mode="both")
    assert contrast.quality_not_available is None
    for workload in WORKLOADS:
        assert contrast.mean_output_tokens[workload].value == world.output_tokens[workload]
        assert contrast.latency[workload].n == world.e1_requests
        assert contrast.timed[workload].n_requests == world.e2_requests
        assert contrast.agreement is not None
        assert contrast.agreement[workload].n_pairs == world.e2_requests * len(world.grid)


def test_at_reference_length_knobs_change_latency_as_they_truly_do(both_modes: Path) -> None:
    held = read_contrast(both_modes).at_reference_length
    assert held is not None
    for workload in WORKLOADS:
        mine = held[workload]
        assert mine.mean_output_tokens.value == WORLD.reference_tokens[workload]
        assert mine.latency.n == WORLD.e1_requests
        truth = WORLD.stage_ms(workload, WORLD.grid[0], "reference_length")
        share = truth["decode"] / sum(truth.values())
        assert mine.stage_breakdown["decode"].share.value == pytest.approx(share)
        for knob, points in mine.sensitivity.items():
            for point in points:
                moved = WORLD.grid[0].model_copy(update={knob: point.value})
                changed = sum(WORLD.stage_ms(workload, moved, "reference_length").values())
                expected = 100 * (changed / sum(truth.values()) - 1)
                assert point.latency_change_percent.value == pytest.approx(expected)
                assert point.quality_change_percent is None
        assert {one.ms.length.value for one in mine.decode_split.settings} == {0}


def test_one_decode_mode_has_no_second(project: Path) -> None:
    assert read_contrast(project).at_reference_length is None


def test_a_model_without_the_knobs(tmp_path: Path) -> None:
    world = World(vision_tokens=(None,), top_k=(None,), active_blocks=(None,), e1_requests=3)
    analyse(tmp_path, world)
    contrast = read_contrast(tmp_path)
    # Three requests are too few to decide anything.
    assert contrast.findings == ()
    reasons = {one.id: one.reason for one in contrast.not_tested}
    assert reasons["qa-prefill-heavy"].startswith("It takes intervals from 30 clusters")
    assert plot_rows(tmp_path, "knob_sensitivity") == plot_rows(tmp_path, "decode_split") == []
    assert {row["value"] for row in plot_rows(tmp_path, "knob_coupling")} == {"all"}
    summary = read_record(Summary, tmp_path / "metrics/summary.json")
    assert (summary.qa_ms, summary.qa.steepness) == (None, None)
    assert summary.qa.best_setting == "-/-/-"


def test_same_rows_give_the_same_bytes(project: Path) -> None:
    outputs = [p for folder in ("metrics", "plots/data") for p in (project / folder).iterdir()]
    before = {path: path.read_bytes() for path in outputs}
    analyse(project, WORLD)
    assert {path: path.read_bytes() for path in outputs} == before


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("answers", {"model_fingerprint": "1"}, "differ in model:"),
        ("answers", {"dtype": "bfloat16"}, "differ in dtype:"),
        ("answers", {"data_fingerprints": {"qa": "1", "captioning": "0"}}, "differ in requests:"),
        ("answers", {"max_new_tokens": {"qa": 5, "captioning": 80}}, "differ in max_new_tokens:"),
        ("answers", {"kept_blocks": {"4": [0, 1, 2, 7]}}, "differ in blocks:"),
    ],
)
def test_answers_of_another_origin_are_refused(
    tmp_path: Path, file: str, change: dict[str, Any], told: str
) -> None:
    simulate_project(tmp_path, WORLD)
    path = tmp_path / f"data/{file}/run.json"
    record = json.loads(path.read_text())
    (record["made"] if file == "answers" else record).update(change)
    path.write_text(json.dumps(record))
    failed = run_stage(tmp_path, "pareto", *chain(*pareto_options("qa").items()))
    assert failed.returncode == 1
    assert "data/profile/run.json and data/answers/run.json do not belong" in failed.stderr
    assert told in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert not (tmp_path / "metrics").exists()


# Without quality


@pytest.fixture(scope="module")
def no_quality(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("no_quality")
    analyse(folder, WORLD, not_available=WHY)
    return folder


@pytest.mark.parametrize("workload", WORKLOADS)
def test_pareto_says_why_there_is_no_frontier(no_quality: Path, workload: str) -> None:
    result = read_record(ParetoResult, no_quality / f"metrics/e2_pareto_{workload}.json")
    assert (result.frontier, result.agreement) == (None, None)
    assert result.quality_not_available == WHY
    assert plot_rows(no_quality, f"frontier_{workload}") == []
    assert read_rows(ScoredAnswer, no_quality / f"data/scores/{workload}.parquet").empty


def test_the_contrast_without_quality_still_has_latency(project: Path, no_quality: Path) -> None:
    contrast, whole = read_contrast(no_quality), read_contrast(project)
    assert contrast.quality_not_available == WHY
    assert contrast.frontiers is contrast.optimal_settings is contrast.cut_share is None
    for name in ("stage_breakdown", "latency", "mean_output_tokens", "timed"):
        assert getattr(contrast, name) == getattr(whole, name)
    point = contrast.sensitivity["qa"]["active_blocks"][0]
    assert point.quality_change_percent is None
    assert point.latency_change_percent.value == (
        whole.sensitivity["qa"]["active_blocks"][0].latency_change_percent.value
    )
    assert {one.reason for one in contrast.not_tested} == {WHY}
    assert len(contrast.findings) == 5
    assert WHY in contrast.answers.optimal_settings
    assert WHY in contrast.answers.frontier_structure
    assert len(plot_rows(no_quality, "knob_sensitivity")) == 8
    assert len(plot_rows(no_quality, "decode_split")) == 16
    assert plot_rows(no_quality, "knob_coupling") == []


def test_the_summary_without_quality_has_none(no_quality: Path) -> None:
    summary = read_record(Summary, no_quality / "metrics/summary.json")
    for one in (summary.qa, summary.captioning):
        assert (one.reference_quality, one.steepness, one.best_setting) == (None, None, None)
    assert summary.findings_supported + summary.findings_refuted <= 5


def test_figures_and_show_bear_a_contrast_without_quality(no_quality: Path) -> None:
    done = run_stage(
        no_quality, "figures", "--contrast", "metrics/m1_workload_contrast.json",
        "--cdf", "plots/data/latency_cdf.json", "--out", "plots/figures",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((no_quality / "plots/figures").glob("m1_*.png"))) == 7
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["show", "--contrast", str(no_quality / "metrics/m1_workload_contrast.json")]
    )
    assert shown.exit_code == 0
    assert f"No quality. {WHY}" in shown.output
    assert "not tested" in shown.output


def test_what_rests_on_quality_is_never_half_there(project: Path) -> None:
    contrast = read_contrast(project)
    for change in ({"frontiers": None}, {"quality_not_available": WHY}):
        with pytest.raises(ValueError, match="results that need quality"):
            WorkloadContrast(**dict(contrast) | change)
    pareto = read_record(ParetoResult, project / "metrics/e2_pareto_qa.json")
    with pytest.raises(ValueError, match="results that need quality"):
        ParetoResult(**dict(pareto) | {"agreement": None})


# A setting that failed


@pytest.fixture(scope="module")
def with_failure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project, where 16/2/4 failed in captioning after all else was measured."""
    folder = tmp_path_factory.mktemp("failed")
    simulate_project(folder, WORLD)
    run = read_record(ProfileRun, folder / "data/profile/run.json")
    failed = FailedCell(
        experiment="e2",
        workload="captioning",
        setting=run.grid[-1],
        decode_mode="free",
        reason="OutOfMemoryError: CUDA out of memory.",
        order=400,
        n_measured=3,
    )
    rows = [
        row
        for row in simulate_rows(0, WORLD)
        if (row.experiment, row.workload) != ("e2", "captioning")
        or (row.vision_tokens, row.top_k, row.active_blocks) != (16, 2, 4)
    ]
    write_rows(rows, folder / "data/profile/rows.parquet")
    after = {"failed": (failed,), "n_rows": len(rows), "rows_fingerprint": rows_fingerprint(rows)}
    write_record(run.model_copy(update=after), folder / "data/profile/run.json")
    for name, *options in [
        *(["pareto", *chain(*pareto_options(w).items())] for w in WORKLOADS),
        ["contrast"],
    ]:
        done = run_stage(folder, name, *options)
        assert done.returncode == 0, done.stderr
    return folder


def test_a_failed_setting_is_left_out_of_both_workloads_and_told(with_failure: Path) -> None:
    contrast = read_contrast(with_failure)
    assert [cell.told for cell in contrast.failed] == [
        "e2 captioning 16/2/4: OutOfMemoryError: CUDA out of memory."
    ]
    for workload in WORKLOADS:
        labels = [p.label for p in read_frontier(with_failure, workload).points]
        assert len(labels) == len(WORLD.grid) - 1
        assert "16/2/4" not in labels
        result = read_record(ParetoResult, with_failure / f"metrics/e2_pareto_{workload}.json")
        assert result.failed == contrast.failed
    assert read_record(Summary, with_failure / "metrics/summary.json").failed_cells == 1


def test_what_does_not_need_the_failed_setting_stays_as_it_was(
    with_failure: Path, project: Path
) -> None:
    after, before = read_contrast(with_failure), read_contrast(project)
    assert after.stage_breakdown == before.stage_breakdown
    for workload in WORKLOADS:
        for knob in KNOBS:
            pairs = zip(
                after.sensitivity[workload][knob], before.sensitivity[workload][knob], strict=True
            )
            for one, other in pairs:
                assert one.latency_change_percent == other.latency_change_percent
                is_touched = (
                    one.value == {"vision_tokens": 16, "top_k": 2, "active_blocks": 4}[knob]
                )
                assert (one.main_effect_percent != other.main_effect_percent) == is_touched


def test_show_lists_failed_cells_and_interruptions(with_failure: Path, tmp_path: Path) -> None:
    contrast = read_contrast(with_failure)
    resumed = contrast.provenance.model_copy(update={"resumed_at": ("2025-01-01T00:10:00+00:00",)})
    path = tmp_path / "contrast.json"
    write_record(contrast.model_copy(update={"provenance": resumed}), path)
    shown = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(
        app, ["show", "--contrast", str(path)]
    )
    assert "Not measured: e2 captioning 16/2/4: OutOfMemoryError" in shown.stdout
    assert "resumed 2025-01-01T00:10:00+00:00" in shown.stdout


# All files of a stage appear together or not at all

STAGES_THAT_WRITE = {
    "pareto": list(chain(*pareto_options("captioning").items())),
    "contrast": [],
    "figures": [
        *("--contrast", "metrics/m1_workload_contrast.json"),
        *("--cdf", "plots/data/latency_cdf.json", "--out", "plots/figures"),
    ],
}


OUTPUTS = {
    "pareto": ("data/scores/captioning.parquet", "metrics/*captioning.json"),
    "contrast": ("metrics/[!e2]*.json", "metrics/e1*.json", "plots/data/*.json"),
    "figures": ("plots/figures/*.png",),
}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", STAGES_THAT_WRITE)
def test_a_disk_that_fills_up_in_the_middle_of_a_stage_leaves_all_earlier_results(
    project: Path, tmp_path: Path, stage: str
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    assert run_stage(folder, "figures", *STAGES_THAT_WRITE["figures"]).returncode == 0
    outputs = [path for pattern in OUTPUTS[stage] for path in folder.glob(pattern)]
    assert len(outputs) > 1
    for path in outputs:
        path.write_bytes(path.read_bytes() + b" ")
    before = contents(folder)
    # All fit but for the largest.
    largest = max(len(before[path]) for path in outputs)
    done = run_stage(folder, stage, *STAGES_THAT_WRITE[stage], largest_file=largest // 2)
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: \S+: cannot be written \(File too large\): .*; earlier results are as they were\n",
        done.stderr,
    )
    assert contents(folder) == before


@pytest.mark.parametrize("blocked", ["plots/data", "metrics"])
def test_a_folder_that_cannot_be_written_to_leaves_the_results_in_the_other(
    project: Path, tmp_path: Path, blocked: str
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    options = ["--out", "metrics", "--plots", "plots/data"]
    options[options.index(blocked)] = f"{tmp_path}/file/{blocked}"
    (tmp_path / "file").touch()
    before = contents(folder)
    done = run_stage(folder, "contrast", *options)
    assert done.returncode == 1
    assert "cannot be written (Not a directory)" in done.stderr
    assert contents(folder) == before
