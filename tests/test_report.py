"""The report of a run: one file, with the verdict first, and without anything to load."""

import json
import re
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import contrast_example as example
import forked
import pytest
import reports
import yaml
from import_graph import ROOT
from typer.testing import CliRunner

from m1.cli import app
from m1.errors import UserError
from m1.files import write_plot_rows, write_record
from m1.report.charts import KINDS, MOST_STEPS, make_charts
from m1.report.forest import Forest
from m1.report.tables import stage_table
from m1.schemas.profile import STAGES
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import KeyAnswers, WorkloadContrast

MOST_BYTES = 2_000_000
ALIEN = re.compile(r"(?:src|href|action)\s*=\s*[\"']?(?:https?:)?//|@import|url\(", re.IGNORECASE)


class Outline(HTMLParser):
    """The tags of a page, and its texts by the tag around them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip() and self._within:
            self.texts.setdefault(self._within[-1], []).append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """All texts that a reader sees, in one line."""
        seen = (t for tag, texts in self.texts.items() if tag != "script" for t in texts)
        return " ".join(seen)


@pytest.fixture(scope="module")
def valid() -> Outline:
    return Outline(reports.page_of(reports.contrast()))


def specs_in(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="specs">(.*?)</script>', page, re.S)
    return json.loads(text)


def test_every_section_is_there_and_linked(valid: Outline) -> None:
    sections = [section["id"] for section in valid.all("section")]
    assert sections == [
        "answers", "findings", "stages", "frontiers", "knobs", "validity", "provenance",
    ]  # fmt: skip
    links = [link["href"] for link in valid.all("a")]
    assert links == [f"#{name}" for name in sections]


def test_the_verdict_comes_before_all_numbers(valid: Outline) -> None:
    assert valid.texts["strong"][0] == "Valid run:"
    assert example.validity().tally in valid.words
    assert "INVALID" not in valid.words


def test_questions_are_answered_in_order(valid: Outline) -> None:
    asked = [field.description for field in KeyAnswers.model_fields.values()]
    assert valid.texts["h3"][: len(asked)] == asked
    for answer in reports.ANSWERS.model_dump().values():
        assert answer in valid.texts["p"]


def test_findings_have_verdict_effect_and_interval(valid: Outline) -> None:
    for one in reports.FINDINGS:
        assert one.claim in valid.texts["th"]
        assert f"{one.effect:.3g} ({one.low:.3g} to {one.high:.3g})" in valid.texts["td"]
    verdicts = {"supported", "refuted", "inconclusive", "not tested"}
    assert verdicts <= set(valid.texts["td"])
    assert {"Nobody knows.", "It takes two."} <= {*valid.texts["th"], *valid.texts["td"]}


def test_effects_lie_on_the_side_of_the_smallest_effect_that_their_verdict_says() -> None:
    forest = Forest.of(reports.contrast())
    far, near, opposite = forest.effects
    assert forest.smallest_at < far.start < far.at < far.end <= 100
    assert near.start < forest.smallest_at < near.end
    assert 0 <= opposite.start < opposite.at < opposite.end < 50 < forest.smallest_at


def test_effects_are_drawn_even_if_the_smallest_effect_is_zero() -> None:
    nothing = reports.FINDINGS[0].model_copy(
        update={"effect": 0.0, "low": 0.0, "high": 0.0, "smallest_effect": 0.0}
    )
    (one,) = Forest.of(reports.contrast(findings=(nothing,))).effects
    assert (one.start, one.at, one.end) == (50, 50, 50)


def test_every_chart_of_dvc_plots_is_drawn_by_the_same_template() -> None:
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    plots = {
        name: plot for entry in entries if isinstance(entry, dict) for name, plot in entry.items()
    }
    same = ("template", "x", "y_label")
    wanted = {
        name: {key: plot.get(key) for key in same} | {"y": next(iter(plot["y"].values()))}
        for name, plot in plots.items()
    }
    assert {kind.id: {key: getattr(kind, key) for key in (*same, "y")} for kind in KINDS} == wanted


def test_charts_contain_their_data_and_a_description() -> None:
    page = reports.page_of(reports.contrast())
    specs, outline = specs_in(page), Outline(page)
    assert set(specs) == {kind.id for kind in KINDS}
    drawn = [one["data-chart"] for one in outline.all("div") if "data-chart" in one]
    assert sorted(drawn) == sorted(specs)
    for kind in KINDS:
        assert specs[kind.id]["description"] == kind.alternative
        assert kind.alternative in outline.words
        assert specs[kind.id]["data"]["values"]
    settings = [row["setting"] for row in specs["frontier_qa"]["data"]["values"]]
    assert sorted(settings) == sorted(setting.label for setting in example.GRID)


def test_charts_show_no_revisions_and_leave_the_wheel_to_the_page() -> None:
    for spec in specs_in(reports.page_of(reports.contrast())).values():
        text = json.dumps({name: value for name, value in spec.items() if name != "data"})
        assert '"bind": "scales"' not in text
        assert not re.search(r'"field": "rev(ision)?", "title"', text)
        assert "<DVC_METRIC" not in text


def test_latencies_are_quantiles_not_requests() -> None:
    many = [
        point.model_copy(update={"latency_ms": point.latency_ms + shift})
        for shift in range(3)
        for point in example.cdf_points()
    ]
    rows = make_charts(reports.contrast(), many, reports.TEMPLATES)["latency_cdf"].rows
    for workload in WORKLOADS:
        own = [row for row in rows if row["workload"] == workload]
        assert len(own) == MOST_STEPS
        assert own[-1]["share_of_requests"] == 1
        assert own[-1]["latency_ms"] == max(p.latency_ms for p in many if p.workload == workload)
        middle = next(row["latency_ms"] for row in own if row["share_of_requests"] >= 0.5)
        below = [p.latency_ms <= middle for p in many if p.workload == workload]
        assert sum(below) / len(below) == pytest.approx(0.5, abs=0.01)
        assert {row["requests"] for row in own} == {example.N_E1}


def test_preprocessing_is_beside_the_stages_and_outside_the_total(valid: Outline) -> None:
    run = reports.contrast()
    assert run.preprocessing
    rows = [row[0] for row in stage_table(run).rows]
    assert rows[:5] == [*STAGES, "total"]
    parts = run.preprocessing["qa"].parts
    assert rows[5:] == [f"before the total: {part}" for part in (*parts, "all of it")]
    assert set(rows) <= set(valid.texts["th"])
    drawn = make_charts(run, example.cdf_points(), reports.TEMPLATES)["stage_breakdown"].rows
    assert [row["stage"] for row in drawn if row["start_ms"] < 0] == [*parts] * len(WORKLOADS)


def test_settings_have_a_row_each_with_both_workloads(valid: Outline) -> None:
    rows = [row["data-setting"] for row in valid.all("tr") if "data-setting" in row]
    assert rows == [setting.label for setting in example.GRID]
    headers = [one for one in valid.all("th") if "aria-sort" in one]
    assert len(headers) == 4 + 3 * len(WORKLOADS)
    keys = [cell["data-key"] for name, cell in valid.tags if "data-key" in cell]
    assert len(keys) == len(rows) * len(headers)
    assert all(float(key or "x") >= 0 for key in keys)


def test_tables_have_headers_and_scroll_by_keyboard(valid: Outline) -> None:
    assert len(valid.all("caption")) == len(valid.all("table"))
    assert all(header.get("scope") in ("col", "row") for header in valid.all("th"))
    regions = [one for one in valid.all("div") if "scroll" in (one.get("class") or "")]
    assert all(one.get("tabindex") == "0" for one in regions)
    assert all(one.get("aria-label") or one.get("aria-labelledby") for one in regions)


def test_numbers_of_a_chart_are_in_a_table_below_it(valid: Outline) -> None:
    captions = [text for text in valid.texts["span"] if text.startswith("Numbers of ")]
    assert len(captions) == 4
    (move, *_) = reports.contrast().sensitivity["captioning"]["top_k"]
    assert f"{move.latency_change_percent.low:.4g}" in valid.texts["td"]
    assert "Captioning" in valid.texts["th"]
    assert not {"start ms", "qa"} & set(valid.texts["th"])


def test_an_invalid_run_says_so_first_and_beside_every_chart() -> None:
    outline = Outline(reports.page_of(reports.invalid()))
    assert outline.texts["strong"][0].startswith("INVALID RUN")
    assert "it drifted by 12.00%, above 10.00%" in outline.texts["li"]
    marks = [text for text in outline.texts["p"] if text.startswith("INVALID RUN")]
    assert len(marks) == len(KINDS)
    assert {"FAILED", "0.12", "0.1", "not measured", "no GPU in use"} <= set(outline.texts["td"])


def test_a_run_valid_for_ratios_says_so_first_and_beside_every_chart() -> None:
    run = reports.contrast(validity=example.spoiled_milliseconds())
    outline = Outline(reports.page_of(run))
    assert outline.texts["strong"][0] == "Valid for ratios:"
    assert "it drifted" in outline.texts["li"]
    marks = [text for text in outline.texts["p"] if text.startswith("Valid for ratios, not")]
    assert len(marks) == len(KINDS)
    assert "INVALID" not in outline.words
    (verdict,) = [tag for tag in outline.all("div") if "verdict" in tag.get("class", "").split()]
    assert verdict["class"].split() == ["verdict", "valid-for-ratios"]
    assert {"milliseconds", "everything"} <= set(outline.texts["td"])


def test_a_run_without_quality_says_why_in_the_place_of_frontiers() -> None:
    page = reports.page_of(example.contrast_without_quality())
    outline = Outline(page)
    assert outline.words.count(example.WHY) >= 3
    assert not {"frontier_qa", "frontier_captioning", "knob_coupling"} & set(specs_in(page))
    assert "All settings" not in outline.words
    assert "Where a request spends its time" in outline.texts["h3"]


def test_failed_cells_are_listed_and_texts_show_as_texts() -> None:
    page = reports.page_of(reports.with_failures())
    outline = Outline(page)
    shown = reports.NASTY.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert f"OutOfMemoryError: {shown}" in outline.texts["td"]
    assert f"models/{shown}" in outline.words
    assert "Incomplete." in outline.texts["strong"]
    assert len(outline.all("script")) == 3
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)


def test_data_in_a_chart_cannot_end_its_script() -> None:
    frontiers = reports.contrast().frontiers or {}
    point = frontiers["qa"].points[0].model_copy(update={"label": reports.NASTY})
    changed = frontiers["qa"].model_copy(update={"points": (point, *frontiers["qa"].points[1:])})
    page = reports.page_of(reports.contrast(frontiers=frontiers | {"qa": changed}))
    assert specs_in(page)["frontier_qa"]["data"]["values"][0]["setting"] == reports.NASTY
    assert page.count("</script") == 3


def test_commands_repeat_the_run_and_measure_again() -> None:
    seen = example.contrast().provenance.model_copy(update={"git_commit": "abc123def456+changes"})
    commands, parameters = Outline(reports.page_of(reports.contrast(provenance=seen))).texts["pre"]
    assert "git checkout abc123def456 " in commands
    assert "changes that were not committed" in commands
    assert "dvc repro" in commands
    assert "profile.session=8" in commands
    assert "session: 7" in unescape(parameters)


def project_in(folder: Path, run: WorkloadContrast) -> None:
    """A folder with the files that `m1 report` reads."""
    write_record(run, folder / "metrics" / "m1_workload_contrast.json")
    rows = [point.model_dump() for point in example.cdf_points()]
    write_plot_rows(rows, folder / "plots" / "data" / "latency_cdf.json")
    (folder / "params.yaml").write_text(reports.PARAMETERS)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "plots").symlink_to(reports.TEMPLATES)


def test_the_command_writes_one_small_file_that_loads_nothing(tmp_path, monkeypatch) -> None:
    project_in(tmp_path, reports.contrast())
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["report"])
    assert said.exit_code == 0, said.output
    written = tmp_path / "data" / "report" / "m1_report.html"
    assert said.output.strip() == written.as_uri()
    page = written.read_text(encoding="utf-8")
    assert len(page.encode()) < MOST_BYTES
    assert "vegaEmbed" in page
    outline = Outline(page)
    assert not any(one.get("src") for one in outline.all("script"))
    assert [link["href"] for link in outline.all("link")] == ["data:,"]
    assert not ALIEN.search(re.sub(r"<script.*?</script>", "", page, flags=re.S))
    (policy,) = [m["content"] for m in outline.all("meta") if "http-equiv" in m]
    assert policy
    assert policy.startswith("default-src 'none'")


def test_latencies_of_another_run_are_refused(tmp_path, monkeypatch) -> None:
    project_in(tmp_path, reports.contrast(latency_cdf_fingerprint="0" * 64))
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["report", "--out", "page.html"])
    assert said.exit_code == 1
    assert "do not belong together" in said.stderr
    assert not Path("page.html").exists()


@pytest.mark.parametrize("content", [None, "{", '{"mark": "bar"}'])
def test_a_missing_or_wrong_template_is_an_error_in_one_line(tmp_path, content) -> None:
    if content is not None:
        for template in reports.TEMPLATES.glob("*.json"):
            (tmp_path / template.name).write_text(content)
    with pytest.raises(UserError, match="not a valid chart template") as error:
        make_charts(reports.contrast(), example.cdf_points(), tmp_path)
    assert "\n" not in str(error.value)


def test_a_report_before_any_run_says_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["report"])
    assert said.exit_code == 1
    assert said.stderr.strip() == (
        "error: metrics/m1_workload_contrast.json: cannot be read (it is not there); "
        "run `dvc repro` first"
    )


def test_a_report_of_a_revision_has_the_numbers_of_that_revision(tmp_path, monkeypatch) -> None:
    project_in(tmp_path, reports.contrast())
    monkeypatch.chdir(tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@a", "-c", "init.defaultBranch=main"]
    for words in (
        ["init", "-q"],
        ["add", "metrics", "plots", "params.yaml"],
        ["commit", "-qm", "all"],
    ):
        subprocess.run(["git", *who, *words], check=True)
    assert forked.run(forked.Program("dvc", ["init", "-q", "-f"], tmp_path)).returncode == 0
    write_record(reports.invalid(), tmp_path / "metrics" / "m1_workload_contrast.json")
    monkeypatch.setattr("m1.report.write.chart_scripts", str)
    (tmp_path / ".dvc" / "plots").symlink_to(reports.TEMPLATES)
    said = CliRunner().invoke(app, ["report", "--rev", "HEAD"])
    assert said.exit_code == 0, said.output
    page = (tmp_path / "data/report/m1_report_HEAD.html").read_text(encoding="utf-8")
    assert "Valid run:" in page
    assert "INVALID" not in page
