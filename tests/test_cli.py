"""The `m1` command shows results and the layout of result files."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from contrast_example import N_E2, WHY, contrast_without_quality, tails_of_two_causes, validity
from contrast_example import contrast as example
from typer.testing import CliRunner

from m1.cli import app
from m1.files import write_record
from m1.schemas.origin import MadeFrom
from m1.schemas.results import Finding, KeyAnswers, NotTested, WorkloadContrast
from m1.show.result_files import NAMES, RESULT_FILES

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def contrast() -> WorkloadContrast:
    finding = Finding(
        id="qa-prefill-heavy",
        claim="Questions are prefill-heavy.",
        measure="points",
        effect=61.5,
        low=60.25,
        high=62.75,
        smallest_effect=5.25,
        verdict="supported",
    )
    answers = KeyAnswers(
        latency_difference="Captions take six times as long.",
        dominant_stages="Prefill here, decode there.",
        optimal_settings="They differ.",
        frontier_structure="One is steeper.",
    )
    return example(findings=(finding,), answers=answers)


def shown(contrast: WorkloadContrast, tmp_path: Path) -> str:
    path = tmp_path / "contrast.json"
    write_record(contrast, path)
    result = RUN.invoke(app, ["show", "--contrast", str(path)])
    assert result.exit_code == 0, result.output
    return result.output


def test_show_prints_answers_headline_and_findings(contrast, tmp_path) -> None:
    output = shown(contrast, tmp_path)
    squeezed = " ".join(output.split())
    for answer in contrast.answers.model_dump().values():
        assert answer
        assert answer in squeezed
    assert f"qa (n = {contrast.latency['qa'].n})" in output
    for finding in contrast.findings:
        assert finding.claim in output
        assert finding.verdict in output
        assert "60.2 to 62.8" in output
        assert "5.25" in output
    assert f"{contrast.latency['captioning'].mean_ms.value:.1f}" in output


def test_show_counts_the_checks_of_a_valid_run(contrast, tmp_path) -> None:
    assert f"- {contrast.validity.tally}" in shown(contrast, tmp_path)


def test_show_gives_upper_bounds_of_percentiles_and_their_causes(contrast, tmp_path) -> None:
    latency = tails_of_two_causes()
    output = shown(contrast.model_copy(update={"latency": latency}), tmp_path)
    rows = {line.split("│")[1].strip(): line for line in output.splitlines() if "│" in line}
    bound = contrast.latency["qa"].upper_bound_ms
    assert f"{bound['p95_ms']:.1f} / {bound['p99_ms']:.1f}" in rows["p95, p99 at most"]
    assert rows["p95, p99 are made by"].count("requests / machine") == 2
    varied = [one.variation for one in latency.values() if one.variation]
    assert len(varied) == 2
    for one in varied:
        assert f"{one.jitter:.1%}" in rows["spread at one request"]
        assert f"{one.between_requests:.1%}" in rows["spread between requests"]


def test_show_marks_an_invalid_run_with_its_reasons(contrast, tmp_path) -> None:
    invalid = contrast.model_copy(update={"validity": validity("it drifted")})
    output = shown(invalid, tmp_path)
    assert "INVALID run" in output
    assert "- it drifted" in output


def test_show_says_what_is_not_available(contrast, tmp_path) -> None:
    no_p99 = contrast.latency["qa"].model_copy(update={"p99_ms": None})
    latency = contrast.latency | {"qa": no_p99}
    assert "not available" in shown(contrast.model_copy(update={"latency": latency}), tmp_path)


def test_show_says_how_answers_were_made_and_whether_batches_agree(contrast, tmp_path) -> None:
    output = shown(contrast, tmp_path)
    assert contrast.cut_share
    assert contrast.agreement
    same = {w: one.identical_share for w, one in contrast.agreement.items()}
    for name, shares in (
        ("outputs cut at the longest", contrast.cut_share),
        ("same text in batches", same),
    ):
        (row,) = [line for line in output.splitlines() if name in line]
        cells = [cell.strip() for cell in row.split("│")[2:-1]]
        assert cells == [f"{s.value:.1%} ({s.low:.1%} to {s.high:.1%})" for s in shares.values()]


def test_show_without_quality_says_why_and_lists_what_was_not_tested(tmp_path) -> None:
    output = shown(contrast_without_quality(), tmp_path)
    assert f"No quality. {WHY}" in output
    untested = contrast_without_quality().not_tested
    assert {"qa-frontier-steeper", "qa-prefers-fewer-vision-tokens"} <= {one.id for one in untested}
    for one in untested:
        (row,) = [line for line in output.splitlines() if one.claim in line]
        assert "not tested" in row
    assert f"Not tested: {WHY}" in output
    (row,) = [line for line in output.splitlines() if line.startswith("│ quality ")]
    assert row.count("not available") == 2


def test_show_gives_each_reason_for_untested_findings_once(contrast, tmp_path) -> None:
    untested = [
        NotTested(id=str(n), claim=f"Claim {n}.", reason=reason)
        for n, reason in enumerate(("Too few [trials].", "Too few [trials].", "No quality."))
    ]
    output = shown(contrast.model_copy(update={"not_tested": tuple(untested)}), tmp_path)
    told = [line for line in output.splitlines() if line.startswith("Not tested:")]
    assert told == ["Not tested: Too few [trials].", "Not tested: No quality."]


@pytest.mark.parametrize(("least", "said"), [(N_E2 + 1, True), (N_E2, False), (None, False)])
def test_show_says_that_a_run_with_few_trials_is_too_small(contrast, tmp_path, least, said) -> None:
    made_from = MadeFrom(
        run="0" * 64,
        answers=None,
        requests={"qa": "1", "captioning": "2"},
        analysis={} if least is None else {"min_clusters": least},
    )
    output = shown(contrast.model_copy(update={"made_from": made_from}), tmp_path)
    told = f"Too small for verdicts. It has {N_E2} trials, and a finding takes {least} "
    assert (told in output) == said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a library under DVC
def test_show_prints_the_result_of_a_revision(contrast, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@a"]
    write_record(contrast, Path("metrics/m1_workload_contrast.json"))
    Path("wrong.json").write_text("{}")
    for words in (["init", "-q"], ["add", "metrics", "wrong.json"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    later = contrast.model_copy(update={"validity": validity("it drifted")})
    write_record(later, Path("metrics/m1_workload_contrast.json"))
    assert "INVALID run" in RUN.invoke(app, ["show"]).output
    before = RUN.invoke(app, ["show", "--rev", "HEAD"])
    assert before.output.startswith("VALID run")
    for options, told in (
        (["nix"], "error: --rev nix: unknown Git revision 'nix'\n"),
        (["--exec=x"], "error: --rev --exec=x: unknown Git revision '--exec=x'\n"),
        (["HEAD", "--contrast", "nix.json"], "error: --rev HEAD: nix.json: neither in git nor"),
        (["HEAD", "--contrast", "wrong.json"], "error: --rev HEAD: wrong.json: provenance is"),
    ):
        result = RUN.invoke(app, ["show", "--rev", *options])
        assert result.exit_code == 1
        assert result.output.startswith(told)
        assert len(result.output.splitlines()) == 1


def test_show_before_any_run_says_what_to_do(tmp_path) -> None:
    result = RUN.invoke(app, ["show", "--contrast", str(tmp_path / "none.json")])
    assert result.exit_code == 1
    assert "run `dvc repro` first" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; from m1.cli import app; app(['--help'], standalone_mode=False); "
        "print(*sorted(name for name in sys.modules if '.' not in name))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    help_text, _, loaded = run.stdout.rstrip().rpartition("\n")
    commands = ("fetch", "check", "show", "findings", "answers", "report", "schema")
    assert all(command in help_text for command in commands)
    assert not {"httpx2", "matplotlib", "numpy", "pandas", "pydantic"} & set(loaded.split())


def test_schema_of_one_file_is_found_by_its_name() -> None:
    assert set(NAMES.values()) == set(RESULT_FILES)
    for name, title in (("contrast", "WorkloadContrast"), (NAMES["pareto"], "ParetoResult")):
        assert json.loads(RUN.invoke(app, ["schema", name]).output)["title"] == title


def test_schema_of_an_unknown_name_lists_the_known_names() -> None:
    result = RUN.invoke(app, ["schema", "contrst"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: contrst: no result file has this name; ")
    assert f"did you mean contrast? names: {', '.join(NAMES)}\n" in result.stderr
    assert "did you mean" not in RUN.invoke(app, ["schema", "xyz"]).stderr


def test_version_is_that_of_the_package() -> None:
    result = RUN.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"m1 {version('m1-workload-contrast')}\n")


def test_schema_prints_a_json_schema_for_every_result_file() -> None:
    result = RUN.invoke(app, ["schema"])
    schemas = json.loads(result.output)
    assert set(schemas) == set(RESULT_FILES)
    contrast = schemas["metrics/m1_workload_contrast.json"]
    wanted = {"schema_version", "provenance", "validity", "stage_breakdown", "latency"}
    wanted |= {"frontiers", "optimal_settings", "sensitivity", "findings", "answers"}
    assert wanted <= set(contrast["properties"])
    assert contrast["additionalProperties"] is False
    described = [p for p in contrast["properties"].values() if "description" in p]
    assert len(described) > len(wanted)


def test_each_mistake_has_a_line_of_its_own() -> None:
    wrong = ("knobs.top_kk=3", "model.dtype=bfloat61")
    run = RUN.invoke(app, ["check", *(part for one in wrong for part in ("--set", one))])
    assert run.exit_code == 1
    lines = run.stderr.splitlines()
    assert len(lines) == len(wrong)
    assert all(line.startswith("error: params.yaml: ") for line in lines)
