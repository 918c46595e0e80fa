"""The plots of dvc.yaml, filled with two revisions by DVC's own code and drawn by Vega."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import contrast_example as example
import pytest
import vl_convert
import yaml
from dvc_render.vega import VegaRenderer
from import_graph import ROOT
from PIL import Image

from m1.analysis.plots import coupling_rows, decode_split_rows, stage_rows
from m1.figures.style import PREPROCESSING_COLOURS, STAGE_COLOURS
from m1.files import write_plot_rows
from m1.schemas.profile import STAGES
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import KNOBS

Row = dict[str, Any]
Spec = dict[str, Any]

TEMPLATES = ROOT / ".dvc" / "plots"
REVISIONS = ("HEAD~1", "HEAD")
# The oldest version at hand; DVC's own page loads 5.2, newer tools load newer ones.
VEGA_LITE = "5.8"


def read_plots() -> dict[str, dict[str, Any]]:
    """The plots of dvc.yaml that have a template, by their id."""
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    return {name: p for e in entries if isinstance(e, dict) for name, p in e.items()}


PLOTS = read_plots()
each_plot = pytest.mark.parametrize("name", PLOTS)


def frontier_rows(workload: Workload) -> Iterator[Row]:
    for point in example.frontier(workload).points:
        latency, quality = point.latency_ms, point.quality
        yield {
            "workload": workload,
            "setting": point.label,
            "latency_ms": latency.value,
            "latency_low": latency.low,
            "latency_high": latency.high,
            "quality": quality.value,
            "quality_low": quality.low,
            "quality_high": quality.high,
            "on_frontier": point.on_frontier,
            "frontier_share": point.frontier_share,
            **point.setting.model_dump(),
        }


def sensitivity_rows() -> Iterator[Row]:
    for workload, knob in ((w, k) for w in WORKLOADS for k in KNOBS):
        for point in example.sensitivity(workload, knob)[1:]:
            change = point.latency_change_percent
            yield {
                "workload": workload,
                "knob": knob,
                "value": point.value,
                "change_percent": change.value,
                "low": change.low,
                "high": change.high,
            }


CONTRAST = example.contrast()
ROWS: dict[str, list[Row]] = {
    "plots/data/stage_breakdown.json": stage_rows(CONTRAST),
    "plots/data/latency_cdf.json": [point.model_dump() for point in example.cdf_points()],
    "plots/data/frontier_qa.json": list(frontier_rows("qa")),
    "plots/data/frontier_captioning.json": list(frontier_rows("captioning")),
    "plots/data/knob_sensitivity.json": list(sensitivity_rows()),
    "plots/data/decode_split.json": decode_split_rows(CONTRAST),
    "plots/data/knob_coupling.json": coupling_rows(CONTRAST),
}
BEST = {w: sum(point.on_frontier for point in example.frontier(w).points) for w in WORKLOADS}
WIDE = sum(row["share"] > 0.08 for row in ROWS["plots/data/stage_breakdown.json"])
SETTINGS = len(example.GRID)
# Marks in the drawing for each revision: a layer that draws nothing is missing here.
MARKS: dict[str, dict[str, int]] = {
    "stage_breakdown": {"rect": 12, "rule": 12, "text": WIDE},
    "latency_cdf": {"line": 2},
    "frontier_qa": {"symbol": SETTINGS, "rule": 2 * SETTINGS, "line": 1},
    "frontier_captioning": {"symbol": SETTINGS, "rule": 2 * SETTINGS, "line": 1},
    "knob_sensitivity": {"rect": 12, "rule": 12},
    "decode_split": {"rect": 24, "rule": 24},
    "knob_coupling": {"rect": 26, "rule": 26},
}


GIVEN = {"rev", "label"}  # by DVC in every row, by Vega in an axis label
UNITS = ("(ms)", "(%)", "(no unit)")
# Bars side by side in a panel, whichever knob it is about.
BARS = {
    "knob_sensitivity": 2 * 2,  # two values of a knob, two revisions
    "decode_split": 2 * 2 * 2,  # two parts each
    "knob_coupling": (3 + 4) * 2,  # three values of a knob; three knobs and all
}


def fill(name: str, template: Path | None = None) -> Spec:
    """The specification that DVC makes of a plot with two revisions."""
    plot = PLOTS[name]
    ((path, y),) = plot["y"].items()
    rows = [row | {"rev": rev} for rev in REVISIONS for row in ROWS[path]]
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


def draw(spec: Spec) -> ElementTree.Element:
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))


def marks(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The data's marks of one kind; axes and legends have other roles."""
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
    assert unknown_fields(fill(name), ROWS[path]) == set()


@each_plot
def test_no_anchor_stays_unfilled(name: str) -> None:
    assert "<DVC_METRIC" not in json.dumps(fill(name))


@each_plot
def test_every_mark_is_drawn_for_both_revisions(name: str) -> None:
    svg = draw(fill(name))
    drawn = {kind: len(marks(svg, kind)) for kind in MARKS[name]}
    assert drawn == {kind: 2 * number for kind, number in MARKS[name].items()}
    assert set(REVISIONS) <= words(svg)


@each_plot
def test_axes_have_titles_with_units(name: str) -> None:
    plot, said = PLOTS[name], words(draw(fill(name)))
    labels = [plot[key] for key in ("title", "x_label", "y_label") if key in plot]
    assert set(labels) <= said
    assert any(unit in label for label in labels[1:] for unit in UNITS)


@each_plot
def test_numbers_stay_numbers(name: str) -> None:
    texts = {"workload", "stage", "knob", "setting", "part", "panel", "rev"}
    if name == "knob_coupling":
        texts |= {"value"}  # names of knobs are among them
    for row in fill(name)["data"]["values"]:
        assert all(isinstance(row[key], (int, float)) for key in row if key not in texts)


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
        assert [line.get("d", "").count("L") for line in lines] == [2 * (BEST[workload] - 1)] * 2


@pytest.mark.parametrize("field", ["quality_low", "frontier_share", "setting", "on_frontier"])
def test_a_misspelt_field_is_found(field: str, tmp_path: Path) -> None:
    text = (TEMPLATES / "m1_frontier.json").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text.replace(field, f"{field}_"), encoding="utf-8")
    found = unknown_fields(fill("frontier_qa", wrong), ROWS["plots/data/frontier_qa.json"])
    assert found == {f"{field}_"}


def test_dvc_compares_two_commits(tmp_path: Path) -> None:
    """DVC reads dvc.yaml and the data files itself, figures included."""
    start_repository(tmp_path)
    for shade in (0, 255):
        for path, rows in ROWS.items():
            write_plot_rows([row | {"shade": shade} for row in rows], tmp_path / path)
        (tmp_path / "plots" / "figures").mkdir(exist_ok=True)
        Image.new("L", (4, 4), shade).save(tmp_path / "plots" / "figures" / "m1_example.png")
        commit(tmp_path)
    dvc(tmp_path, "plots", "diff", *REVISIONS, "--out", "page")
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    specs = [json.loads(spec) for spec in re.findall(r"var spec = (\{.*?\});\s*vegaEmbed", page)]
    assert re.findall(r'<div id = "(\w+)">', page) == list(PLOTS)
    assert page.count("m1_example.png") >= 2
    for spec, rows in zip(specs, ROWS.values(), strict=True):
        values = spec["data"]["values"]
        assert [row["rev"] for row in values] == [rev for rev in REVISIONS for _ in rows]
        assert [row["shade"] for row in values] == [shade for shade in (0, 255) for _ in rows]


def test_dvc_draws_the_rest_where_there_is_no_frontier(tmp_path: Path) -> None:
    start_repository(tmp_path)
    for absent in (False, True):
        for path, rows in ROWS.items():
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
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True)
