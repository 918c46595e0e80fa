"""The report in a real browser, without network."""

from collections.abc import Iterator

import pytest
import reports
from browser import CHROMIUM, Browser
from contrast_example import GRID, contrast_without_quality

from m1.pages.scripts import chart_scripts
from m1.report.charts import KINDS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (on Debian: apt install chromium)"),
]

RUNS = {
    "invalid": reports.invalid,
    "with failures": reports.with_failures,
    "without quality": contrast_without_quality,
}
DRAWN = "document.documentElement.dataset.drawn === 'all'"
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
POINT = "[data-chart=frontier_qa] path[aria-label*='setting: ']"
TOOLTIP = "document.querySelector('#vg-tooltip-element.visible')?.innerText"
PICKED = "document.querySelector('tr.picked')?.dataset.setting"
KEYS = "[...document.querySelectorAll('tr[data-setting]')].map((row) => +row.cells[4].dataset.key)"


@pytest.fixture(scope="module")
def scripts() -> str:
    return chart_scripts()


@pytest.fixture(scope="module")
def browser(scripts: str, tmp_path_factory) -> Iterator[Browser]:
    """A browser that has opened the report of a valid run."""
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "report.html"
    page.write_text(reports.page_of(reports.contrast(), scripts), encoding="utf-8")
    with Browser.started(folder / "profile") as one:
        one.resize(1400)
        one.open(page)
        one.wait_for(DRAWN)
        yield one


def complaints(browser: Browser) -> list[object]:
    """The errors of the page, without warnings."""
    told = browser.told(*COMPLAINTS)
    return [one for one in told if one.get("type") != "warning"]


def test_every_chart_is_drawn_without_complaint_or_request(browser: Browser) -> None:
    charts = browser.value("document.querySelectorAll('[data-chart] svg.marks').length")
    assert charts == len(KINDS)
    labels = "document.querySelectorAll('[data-chart=stage_breakdown] .mark-text.role-mark text')"
    assert browser.value(f"{labels}.length") > 0
    assert complaints(browser) == []
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1


def test_a_point_tells_its_setting_and_numbers(browser: Browser) -> None:
    browser.point_at(POINT)
    browser.wait_for(TOOLTIP)
    told = browser.value(TOOLTIP)
    setting = browser.value(PICKED)
    assert setting in {one.label for one in GRID}
    assert setting in told
    assert "latency" in told
    assert "quality" in told


def test_a_row_marks_its_point_in_both_charts(browser: Browser) -> None:
    setting = GRID[4].label
    browser.point_at(f"tr[data-setting='{setting}'] td")
    browser.wait_for(f"{PICKED} === '{setting}'")
    for name in ("frontier_qa", "frontier_captioning"):
        # Of the rings, one around each point, all but this have no size.
        marks = f"[...document.querySelectorAll('[data-chart={name}] .mark-symbol path')]"
        browser.wait_for(f"{marks}.filter((one) => one.getBBox().width > 15).length === 1")


def test_a_header_sorts_by_numbers_and_again_the_other_way(browser: Browser) -> None:
    header = "document.querySelectorAll('table.settings thead button')[4]"
    before = browser.value(KEYS)
    assert before != sorted(before)
    browser.value(f"{header}.click()")
    assert browser.value(KEYS) == sorted(before)
    assert browser.value(f"{header}.parentElement.ariaSort") == "ascending"
    browser.value(f"{header}.click()")
    assert browser.value(KEYS) == sorted(before, reverse=True)
    assert browser.value(f"{header}.parentElement.ariaSort") == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_page_in_either_scheme(browser, width: int, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.send("Emulation.setEmulatedMedia", features=[feature])
    browser.resize(width)
    wide = "document.documentElement.scrollWidth > innerWidth"
    browser.wait_for(f"!({wide})")
    light = "getComputedStyle(document.body).backgroundColor === 'rgb(251, 251, 249)'"
    assert browser.value(light) == (scheme == "light")
    charts = (
        "[...document.querySelectorAll('[data-chart]')]"
        ".every((one) => one.scrollWidth <= one.clientWidth)"
    )
    browser.wait_for(charts)


@pytest.mark.parametrize("kind", RUNS)
def test_other_runs_are_drawn_without_complaint(browser, kind: str, scripts, tmp_path) -> None:
    page = tmp_path / "report.html"
    page.write_text(reports.page_of(RUNS[kind](), scripts), encoding="utf-8")
    browser.open(page)
    browser.wait_for(DRAWN)
    assert complaints(browser) == []
    drawn = browser.value("document.querySelectorAll('[data-chart] svg.marks').length")
    assert drawn == (4 if kind == "without quality" else len(KINDS))
