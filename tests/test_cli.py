"""The `m1` command shows results and the layout of result files."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from contrast_example import WHY, contrast_without_quality, validity
from contrast_example import contrast as example
from typer.testing import CliRunner

from m1.cli import app
from m1.files import write_record
from m1.schemas.results import Answers, Finding, WorkloadContrast
from m1.show.layouts import NAMES, RESULT_FILES

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
    answers = Answers(
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


def test_show_says_what_percentiles_are_at_most_and_what_makes_them(contrast, tmp_path) -> None:
    output = shown(contrast, tmp_path)
    rows = {line.split("│")[1].strip(): line for line in output.splitlines() if "│" in line}
    bound = contrast.latency["qa"].upper_bound_ms
    assert f"{bound['p95_ms']:.1f} / {bound['p99_ms']:.1f}" in rows["p95, p99 at most"]
    assert rows["p95, p99 are made by"].count("requests / machine") == 2
    assert rows["spread at one request"].count("2.6%") == 2
    assert rows["spread between requests"].count("8.1%") == 2


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
    for name, share in (
        ("outputs cut at the longest", "2.0% (1.9% to 2.1%)"),
        ("same text in batches", "98.0% (97.0% to 99.0%)"),
    ):
        (row,) = [line for line in output.splitlines() if name in line]
        assert row.count(share) == 2


def test_show_without_quality_says_why_and_lists_what_was_not_tested(tmp_path) -> None:
    output = shown(contrast_without_quality(), tmp_path)
    assert f"No quality. {WHY}" in output
    (row,) = [line for line in output.splitlines() if "One is steeper." in line]
    assert "not tested" in row
    assert WHY in row
    (row,) = [line for line in output.splitlines() if " quality " in line]
    assert row.count("not available") == 2


def test_show_before_any_run_says_what_to_do(tmp_path) -> None:
    result = RUN.invoke(app, ["show", "--contrast", str(tmp_path / "none.json")])
    assert result.exit_code == 1
    assert "run `dvc repro` first" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_help_loads_nothing_that_takes_long() -> None:
    code = (
        "import sys; from m1.cli import app; app(['--help'], standalone_mode=False); "
        "print(*sorted(name for name in sys.modules if '.' not in name))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    help_text, _, loaded = run.stdout.rstrip().rpartition("\n")
    assert all(command in help_text for command in ("fetch", "show", "schema"))
    assert not {"httpx2", "matplotlib", "numpy", "pandas", "pydantic"} & set(loaded.split())


def test_schema_of_one_file_is_found_by_its_name() -> None:
    assert set(NAMES.values()) == set(RESULT_FILES)
    for name, title in (("contrast", "WorkloadContrast"), (NAMES["pareto"], "ParetoResult")):
        assert json.loads(RUN.invoke(app, ["schema", name]).output)["title"] == title


def test_schema_of_an_unknown_name_says_which_there_are() -> None:
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
