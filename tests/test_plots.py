"""The plots of dvc.yaml, filled with two revisions by DVC's own code and drawn by Vega."""

import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import contrast_example as example
import forked
import pytest
import vl_convert
import yaml
from dvc_render.vega import VegaRenderer
from import_graph import ROOT
from PIL import Image

from m1.analysis.plots import (
    coupling_rows,
    decode_split_rows,
    frontier_rows,
    judged,
    sensitivity_rows,
    stage_rows,
)
from m1.figures.style import INVALID_COLOUR, PREPROCESSING_COLOURS, STAGE_COLOURS
from m1.files import write_plot_rows
from m1.pages.dvc_plots import make_page
from m1.schemas.profile import STAGES
from m1.schemas.requests import WORKLOADS

Row = dict[str, Any]
Spec = dict[str, Any]

TEMPLATES = ROOT / ".dvc" / "plots"
REVISIONS = ("HEAD~1", "HEAD")
# The page of `make install` has the newest at hand; DVC's own page loads 5.2, near the oldest.
NEWEST, OLDEST = "6.4", "5.8"


def read_plots() -> dict[str, dict[str, Any]]:
    """The plots of dvc.yaml that have a template, by their id."""
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    return {name: p for e in entries if isinstance(e, dict) for name, p in e.items()}


PLOTS = read_plots()
each_plot = pytest.mark.parametrize("name", PLOTS)


@cache
def charts() -> dict[str, list[Row]]:
    """The rows of each plot, without a verdict on the run."""
    contrast, frontiers = example.contrast(), example.frontiers()
    return {
        "stage_breakdown": stage_rows(contrast),
        "latency_cdf": [point.model_dump(exclude={"validity"}) for point in example.cdf_points()],
        "frontier_qa": frontier_rows(frontiers["qa"]),
        "frontier_captioning": frontier_rows(frontiers["captioning"]),
        "knob_sensitivity": sensitivity_rows(contrast),
        "decode_split": decode_split_rows(contrast),
        "knob_coupling": coupling_rows(contrast),
    }


def rows_in_files() -> dict[str, list[Row]]:
    """The rows in each file of plot data."""
    valid = example.validity()
    return {f"plots/data/{name}.json": judged(rows, valid) for name, rows in charts().items()}


def n_wide() -> int:
    """Stages with room for their number."""
    return sum(row["share"] > 0.08 for row in charts()["stage_breakdown"])


SETTINGS = len(example.GRID)
# Marks in the drawing for each revision: a layer that draws nothing is missing here.
MARKS: dict[str, dict[str, int]] = {
    "stage_breakdown": {"rect": 12, "rule": 12},
    "latency_cdf": {"line": 2, "symbol": 2 * example.N_E1},
    "frontier_qa": {"symbol": SETTINGS, "rule": 2 * SETTINGS, "line": 1},
    "frontier_captioning": {"symbol": SETTINGS, "rule": 2 * SETTINGS, "line": 1},
    "knob_sensitivity": {"rect": 12, "rule": 12},
    "decode_split": {"rect": 24, "rule": 24},
    "knob_coupling": {"rect": 26, "rule": 26},
}


def n_marks(name: str) -> dict[str, int]:
    """Numbers of all marks of a plot by kind, including those that depend on the run."""
    return MARKS[name] | ({"text": n_wide()} if name == "stage_breakdown" else {})


GIVEN = {"rev", "label"}  # by DVC in every row, by Vega in an axis label
UNITS = ("(ms)", "(%)", "(no unit)")
# Bars side by side in a panel, whichever knob it is about.
BARS = {
    "knob_sensitivity": 2 * 2,  # two values of a knob, two revisions
    "decode_split": 2 * 2 * 2,  # two parts each
    "knob_coupling": (3 + 4) * 2,  # three values of a knob; three knobs and all
}


def fill(name: str, template: Path | None = None, **revisions: list[Row]) -> Spec:
    """The specification that DVC makes of a plot with revisions, two of the same unless given."""
    plot = PLOTS[name]
    ((path, y),) = plot["y"].items()
    drawn = revisions or dict.fromkeys(REVISIONS, rows_in_files()[path])
    rows = [row | {"rev": rev} for rev, of_it in drawn.items() for row in of_it]
    labels = {key: plot[key] for key in ("title", "x_label", "y_label") if key in plot}
    properties = {"template": template or plot["template"], "template_dir": str(TEMPLATES)}
    renderer = VegaRenderer(rows, name, x=plot["x"], y=y, **labels, **properties)
    filled: Spec = renderer.get_filled_template()
    return filled


def unknown_fields(spec: Spec, rows: list[Row]) -> set[str]:
    """The fields that a specification encodes or computes with, and no row has."""
    text = json.dumps({key: value for key, value in spec.items() if key != "data"})
    used = set(re.findall(r'"field": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    return used - set(re.findall(r'"as": "(\w+)"', text)) - set(rows[0]) - GIVEN


def draw(spec: Spec, vega_lite: str = NEWEST) -> ElementTree.Element:
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(spec, vl_version=vega_lite))


def marks(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The marks of one kind that show data; axes and legends have other roles."""
    groups = (g for g in svg.iter() if f"mark-{kind} role-mark" in g.get("class", ""))
    return [mark for group in groups for mark in group]


def words(svg: ElementTree.Element) -> set[str]:
    return {text.text or "" for text in svg.iter() if text.tag.endswith("text")}


def test_every_template_is_used() -> None:
    used = {plot["template"] for plot in PLOTS.values()}
    assert used == {path.stem for path in TEMPLATES.glob("*.json")}
    assert set(PLOTS) == set(MARKS)


@each_plot
def test_every_encoded_field_is_in_the_data(name: str) -> None:
    ((path, _),) = PLOTS[name]["y"].items()
    assert unknown_fields(fill(name), rows_in_files()[path]) == set()


@each_plot
def test_no_anchor_stays_unfilled(name: str) -> None:
    assert "<DVC_METRIC" not in json.dumps(fill(name))


@each_plot
def test_every_mark_is_drawn_for_both_revisions(name: str) -> None:
    svg = draw(fill(name), OLDEST)
    drawn = {kind: len(marks(svg, kind)) for kind in n_marks(name)}
    assert drawn == {kind: 2 * number for kind, number in n_marks(name).items()}
    assert set(REVISIONS) <= words(svg)


@each_plot
def test_axes_have_titles_with_units(name: str) -> None:
    plot, said = PLOTS[name], words(draw(fill(name)))
    labels = [plot[key] for key in ("title", "x_label", "y_label") if key in plot]
    assert set(labels) <= said
    assert any(unit in label for label in labels[1:] for unit in UNITS)


@each_plot
def test_numbers_stay_numbers(name: str) -> None:
    texts = {"workload", "stage", "knob", "setting", "part", "panel", "rev", "validity"}
    if name == "knob_coupling":
        texts |= {"value"}  # names of knobs are among them
    for row in fill(name)["data"]["values"]:
        assert all(isinstance(row[key], (int, float)) for key in row if key not in texts)


FAILED = example.validity("The machine was hot.", "It drifted.", "It was busy.")


@each_plot
def test_charts_say_in_red_which_revision_is_invalid_and_why(name: str) -> None:
    revisions = {
        "old": charts()[name],  # of a version that wrote no verdict
        "good": judged(charts()[name], example.validity()),
        "bad": judged(charts()[name], FAILED),
        "some": judged(charts()[name], example.spoiled_milliseconds()),
    }
    svg = draw(fill(name, **revisions))
    told = {
        text.text: text.get("fill")
        for text in svg.iter()
        if text.tag.endswith("text") and (text.text or "").startswith(tuple(revisions))
    }
    assert told == {
        "old": "black",
        "good": "black",
        f"bad, {FAILED.in_short}": INVALID_COLOUR,
        "some, valid for ratios: drift": "black",
    }
    alone = draw(fill(name, workspace=revisions["bad"]))
    assert f"workspace, {FAILED.in_short}" in words(alone)
    # Nothing is hidden.
    assert {kind: len(marks(alone, kind)) for kind in n_marks(name)} == n_marks(name)


@each_plot
def test_a_tooltip_has_revision_interval_and_number_of_requests(name: str) -> None:
    (tooltip,) = re.findall(r'"tooltip": \[(.*?)\]', json.dumps(fill(name)))
    fields = re.findall(r'"field": "(\w+)"(?:, "title": "(.*?)")?', tooltip)
    told = " ".join(title or field for field, title in fields)
    assert told.startswith("revision")
    assert "requests" in told
    assert (" from" in told and " to" in told) or name == "latency_cdf"


@pytest.mark.parametrize("name", ["stage_breakdown", *BARS])
def test_bars_can_be_seen(name: str) -> None:
    for bar in marks(draw(fill(name)), "rect"):
        width = re.search(r"h(-?[\d.]+)v", bar.get("d", ""))
        assert width, bar.attrib
        assert abs(float(width[1])) > 0.5


@pytest.mark.parametrize(("name", "places"), BARS.items())
def test_bars_of_two_revisions_stand_side_by_side(name: str, places: int) -> None:
    bars = [bar.get("d", "").split(",")[0] for bar in marks(draw(fill(name)), "rect")]
    assert len(set(bars)) == places


def test_stages_too_short_for_their_number_have_none() -> None:
    rows = charts()["stage_breakdown"]
    times = {"mean_ms", "low", "high", "start_ms", "end_ms"}
    slow = [row | {key: 20 * row[key] for key in times} for row in rows]
    assert len(marks(draw(fill("stage_breakdown", fast=rows, slow=slow)), "text")) == n_wide()


def test_stages_have_the_colours_of_the_figures() -> None:
    template = (TEMPLATES / "m1_stage_breakdown.json").read_text(encoding="utf-8")
    colours = json.loads(template)["spec"]["layer"][0]["encoding"]["color"]["scale"]
    assert colours["domain"] == [*PREPROCESSING_COLOURS, *STAGES]
    looks = [*PREPROCESSING_COLOURS.values(), *(STAGE_COLOURS[stage] for stage in STAGES)]
    assert colours["range"] == looks


def test_a_frontier_only_joins_its_members() -> None:
    for workload in WORKLOADS:
        lines = marks(draw(fill(f"frontier_{workload}")), "line")
        # Two strokes a step: level, then up.
        best = sum(point.on_frontier for point in example.frontiers()[workload].points)
        assert [line.get("d", "").count("L") for line in lines] == [2 * (best - 1)] * 2


@pytest.mark.parametrize("field", ["quality_low", "frontier_share", "setting", "on_frontier"])
def test_a_misspelt_field_is_found(field: str, tmp_path: Path) -> None:
    text = (TEMPLATES / "m1_frontier.json").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text.replace(field, f"{field}_"), encoding="utf-8")
    found = unknown_fields(
        fill("frontier_qa", wrong), rows_in_files()["plots/data/frontier_qa.json"]
    )
    assert found == {f"{field}_"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `dvc plots diff` for two commits, based on the page of `make install`."""
    folder = tmp_path_factory.mktemp("compared")
    start_repository(folder)
    (folder / ".dvc" / "plots_page.html").write_text(make_page(), encoding="utf-8")
    dvc(folder, "config", "--local", "plots.html_template", "plots_page.html")
    for shade in (0, 255):
        for path, rows in rows_in_files().items():
            write_plot_rows([row | {"shade": shade} for row in rows], folder / path)
        (folder / "plots" / "figures").mkdir(exist_ok=True)
        Image.new("L", (4, 4), shade).save(folder / "plots" / "figures" / "m1_example.png")
        commit(folder)
    dvc(folder, "plots", "diff", *REVISIONS, "--out", "page")
    return folder / "page" / "index.html"


def test_dvc_compares_two_commits(page: Path) -> None:
    """DVC reads dvc.yaml and the data files itself, figures included."""
    text = page.read_text(encoding="utf-8")
    specs = [json.loads(spec) for spec in re.findall(r"var spec = (\{.*?\});\s*vegaEmbed", text)]
    assert re.findall(r'<div id = "(\w+)">', text) == list(PLOTS)
    assert text.count("m1_example.png") >= 2
    for spec, rows in zip(specs, rows_in_files().values(), strict=True):
        values = spec["data"]["values"]
        assert [row["rev"] for row in values] == [rev for rev in REVISIONS for _ in rows]
        assert [row["shade"] for row in values] == [shade for shade in (0, 255) for _ in rows]


class Links(HTMLParser):
    """Collects what the tags of a page refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_of_the_plots_refers_to_nothing_outside(page: Path) -> None:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    assert {Path(link).name[-14:] for link in links.found} == {"m1_example.png"}
    assert all((page.parent / link).is_file() for link in links.found)


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.skipif(not BROWSER, reason="no Chromium here to draw the page")
def test_a_browser_draws_every_chart_without_a_network(page: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000",
            "--enable-logging=stderr", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.count('class="marks"') == len(PLOTS)
    # What cannot be loaded is an error in the console.
    assert "CONSOLE" not in run.stderr


def test_dvc_draws_the_rest_if_there_is_no_frontier(tmp_path: Path) -> None:
    start_repository(tmp_path)
    for absent in (False, True):
        for path, rows in rows_in_files().items():
            write_plot_rows(
                [] if absent and ("frontier" in path or "coupling" in path) else rows,
                tmp_path / path,
            )
        commit(tmp_path)
    for arguments in (("show",), ("diff", *REVISIONS)):
        dvc(tmp_path, "plots", *arguments, "--out", "page")
        page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
        assert {"stage_breakdown", "latency_cdf", "knob_sensitivity", "decode_split"} <= set(
            re.findall(r'<div id = "(\w+)">', page)
        )


def start_repository(folder: Path) -> None:
    """A repository with this project's plots and templates, and no pipeline."""
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    dvc(folder, "init", "--quiet")
    (folder / ".dvc" / "plots").mkdir(exist_ok=True)
    for template in TEMPLATES.glob("*.json"):
        (folder / ".dvc" / "plots" / template.name).write_text(template.read_text())
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": entries}, sort_keys=False))


def commit(folder: Path) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "-m", "plots"], cwd=folder, check=True)


def dvc(folder: Path, *arguments: str) -> None:
    done = forked.run(forked.Program("dvc", arguments, folder))
    assert done.returncode == 0, done.stderr
