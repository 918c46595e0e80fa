import sys
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import contrast_example as example
import forked
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text

from m1.errors import UserError
from m1.figures.coupling import draw_coupling
from m1.figures.decode_split import draw_decode_split
from m1.figures.latency_cdf import LatencyPoint, draw_latency_cdf
from m1.figures.pareto import draw_pareto
from m1.figures.roofline import draw_roofline
from m1.figures.sensitivity import draw_sensitivity
from m1.figures.stage_breakdown import draw_stage_breakdown
from m1.figures.style import (
    STAGE_COLOURS,
    WORKLOAD_MARKERS,
    bracketed,
    save_figure,
    whiskers,
)
from m1.files import read_plot_rows, write_plot_rows, write_record
from m1.schemas.profile import STAGES, FailedCell
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Frontier, WorkloadContrast
from m1.schemas.settings import KNOBS
from stages.figures import main

Draw = Callable[[WorkloadContrast], Figure]

DRAWINGS: dict[str, Draw] = {
    "m1_stage_breakdown": draw_stage_breakdown,
    "m1_latency_cdf": lambda contrast: draw_latency_cdf(contrast, example.cdf_points()),
    "m1_pareto_comparison": draw_pareto,
    "m1_knob_sensitivity": draw_sensitivity,
    "m1_decode_split": draw_decode_split,
    "m1_knob_coupling": draw_coupling,
    "m1_roofline": draw_roofline,
}
OF_E1 = ("m1_stage_breakdown", "m1_latency_cdf")
each_figure = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


@cache
def example_figure(draw: Draw) -> Figure:
    """A figure of the example, with its layout. Tests only read it."""
    figure = draw(example.contrast())
    figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[str]:
    """All texts on a figure."""
    written = figure.findobj(Text, include_self=False)
    return [text.get_text() for text in written if isinstance(text, Text) and text.get_text()]


def caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def bars(axes: Axes) -> list[Any]:
    return [patch for c in axes.containers if isinstance(c, BarContainer) for patch in c]


def overlapping(figure: Figure, labels: list[Text]) -> list[tuple[str, str]]:
    figure.draw_without_rendering()
    boxes = [(label.get_text(), Text.get_window_extent(label)) for label in labels]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


@each_figure
def test_the_caption_says_what_was_measured_on_what(draw: Draw) -> None:
    said = caption(example_figure(draw))
    n = example.N_E1 if draw in [DRAWINGS[name] for name in OF_E1] else example.N_E2
    run = example.contrast().provenance
    facts = (f"Question answering: n = {n} ", f"Captioning: n = {n} ", f"{run.device} (2 threads)")
    for fact in (*facts, "float32", "144/4/8", "Intervals: 95 %", "Valid run: all 7 checks passed"):
        assert fact in said


@each_figure
def test_an_invalid_run_is_marked_with_its_reasons(draw: Draw) -> None:
    reasons = ("Latency drifted by 14 %, allowed are 10 %.", "Others took 31 % of the CPU.")
    figure = draw(example.contrast(validity=example.validity(*reasons)))
    assert all(reason in caption(figure) for reason in reasons)
    assert "INVALID RUN" in texts(figure)  # across the panels
    assert any(text.startswith("INVALID RUN – E") for text in texts(figure))  # in the title
    assert "Valid run" not in caption(figure)


@each_figure
def test_a_run_valid_for_ratios_says_so_and_why(draw: Draw) -> None:
    figure = draw(example.contrast(validity=example.spoiled_milliseconds()))
    assert "VALID FOR RATIOS, NOT FOR MILLISECONDS: it drifted" in caption(figure)
    assert any(text.startswith("VALID FOR RATIOS – E") for text in texts(figure))  # in the title
    assert not any("INVALID" in text for text in texts(figure))


@each_figure
def test_a_valid_run_has_no_mark(draw: Draw) -> None:
    assert not any("INVALID" in text for text in texts(example_figure(draw)))


def failed_cell(**knobs: int) -> FailedCell:
    return FailedCell(
        experiment="e2",
        workload="captioning",
        setting=example.GRID[0].model_copy(update=knobs),
        decode_mode="free",
        reason="OutOfMemoryError: CUDA out of memory.",
        order=7,
        n_measured=0,
    )


@each_figure
def test_the_caption_says_what_is_missing_and_that_a_run_was_resumed(draw: Draw) -> None:
    when = "2025-01-01T00:10:00+00:00"
    resumed = example.contrast().provenance.model_copy(update={"resumed_at": (when,)})
    cells = (failed_cell(top_k=1), failed_cell(active_blocks=4))
    said = caption(draw(example.contrast(provenance=resumed, failed=cells)))
    assert f"resumed at {when}" in said
    assert "Not measured (E2 captioning, OutOfMemoryError): 144/1/8, 144/4/4." in said
    assert "esumed" not in caption(example_figure(draw))
    assert "Not measured" not in caption(example_figure(draw))


def frontiers_without(*missing: FailedCell) -> dict[Workload, Frontier]:
    gone = {cell.setting for cell in missing}
    whole = example.frontiers()
    return {
        w: one.model_copy(update={"points": tuple(p for p in one.points if p.setting not in gone)})
        for w, one in whole.items()
    }


def notes_in(figure: Figure) -> list[list[str]]:
    """The notes of each panel about settings that have no point in it."""
    return [
        [t.get_text().replace("\n", " ") for t in axes.texts if t.get_text().startswith("×")]
        for axes in figure.axes
    ]


def test_a_setting_without_a_point_is_noted_below_the_points() -> None:
    cells = (failed_cell(top_k=1), failed_cell(active_blocks=4))
    contrast = example.contrast(frontiers=frontiers_without(*cells), failed=cells)
    figure = draw_pareto(contrast)
    assert notes_in(figure) == [
        ["× left out: 144/1/8, 144/4/4 (OutOfMemoryError in captioning)"],
        ["× not measured: 144/1/8, 144/4/4 (OutOfMemoryError)"],
    ]
    figure.draw_without_rendering()
    for axes in figure.axes:
        (note,) = [t for t in axes.texts if t.get_text().startswith("×")]
        box, panel = note.get_window_extent(), axes.get_window_extent()
        assert panel.contains(*box.min)
        assert panel.contains(*box.max)
        points = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        bars = [bar for c in points for bar in c.lines[2] if isinstance(bar, LineCollection)]
        lowest = min(y for bar in bars for segment in bar.get_segments() for _, y in segment)
        assert axes.transData.transform((0, lowest))[1] > box.y1
        labels: list[Text] = [t for t in axes.texts if isinstance(t, Annotation)]
        assert overlapping(figure, labels) == []


def test_a_setting_that_failed_in_both_workloads_is_noted_in_both() -> None:
    one = failed_cell(top_k=1)
    both = (one.model_copy(update={"workload": "qa"}), one)
    for cells in (both, both[::-1]):
        contrast = example.contrast(frontiers=frontiers_without(one), failed=cells)
        notes = ["× not measured: 144/1/8 (OutOfMemoryError)"]
        assert notes_in(draw_pareto(contrast)) == [notes, notes]


def test_many_settings_without_a_point_are_counted() -> None:
    cells = tuple(failed_cell(**setting.model_dump()) for setting in example.GRID[1:10])
    contrast = example.contrast(frontiers=frontiers_without(*cells), failed=cells)
    ((_,), (note,)) = notes_in(draw_pareto(contrast))
    assert note.endswith("144/1/8 and 3 more (OutOfMemoryError)")


def test_a_setting_with_a_point_is_not_noted_as_missing() -> None:
    of_e1 = failed_cell().model_copy(update={"experiment": "e1"})
    assert notes_in(example_figure(draw_pareto)) == [[], []]
    assert notes_in(draw_pareto(example.contrast(failed=(of_e1,)))) == [[], []]


def test_a_value_that_was_not_measured_is_shown_as_missing() -> None:
    whole = example.contrast()
    left = {
        w: knobs | {"top_k": tuple(p for p in knobs["top_k"] if p.value != 1)}
        for w, knobs in whole.sensitivity.items()
    }
    figure = draw_sensitivity(example.contrast(sensitivity=left, failed=(failed_cell(top_k=1),)))
    top_k = figure.axes[1]
    assert [label.get_text() for label in top_k.get_xticklabels()] == ["2", "1"]
    assert "not measured" in [text.get_text() for text in top_k.texts]
    assert "not measured" not in texts(draw_sensitivity(whole))


@each_figure
def test_nothing_is_cut_off_at_the_edge(draw: Draw) -> None:
    reason = "Some check failed, and the sentence about it is quite long. " * 3
    figure = draw(example.contrast(validity=example.validity(reason)))
    figure.draw_without_rendering()
    drawn, paper = figure.get_tightbbox(), figure.bbox_inches.padded(0.01)
    assert paper.contains(*drawn.min)
    assert paper.contains(*drawn.max)


@each_figure
def test_the_caption_stays_clear_of_the_panels(draw: Draw) -> None:
    figure = example_figure(draw)
    (below,) = [t for t in figure.texts if t.get_text() == figure.get_supxlabel()]
    tops = [axes.get_tightbbox() for axes in figure.axes]
    assert all(box is not None and box.y0 >= below.get_window_extent().y1 for box in tops)


@each_figure
def test_the_legend_stays_clear_of_the_panels(draw: Draw) -> None:
    figure = example_figure(draw)
    tops = [axes.get_tightbbox() for axes in figure.axes]
    for legend in figure.legends:
        assert all(box is not None and box.y1 <= legend.get_window_extent().y0 for box in tops)


def test_bars_are_as_long_as_the_stages() -> None:
    contrast = example.contrast()
    times, shares = draw_stage_breakdown(contrast).axes
    for workload, drawn in ((w, slice(4 * i, 4 * i + 4)) for i, w in enumerate(WORKLOADS)):
        stages = [contrast.stage_breakdown[workload][stage] for stage in STAGES]
        widths = [patch.get_width() for patch in bars(times)[drawn]]
        assert widths == pytest.approx([stage.mean_ms.value for stage in stages])
        percents = [patch.get_width() for patch in bars(shares)[drawn]]
        assert percents == pytest.approx([100 * stage.share.value for stage in stages])
        starts = [patch.get_x() for patch in bars(times)[drawn]]
        assert starts == pytest.approx([sum(widths[:i]) for i in range(4)])


def test_each_stage_has_its_number_and_no_numbers_overlap() -> None:
    contrast = example.contrast()
    figure = draw_stage_breakdown(contrast)
    lines = [legend for legend in figure.findobj(Legend) if isinstance(legend, Legend)]
    labels = [label for line in lines for label in line.get_texts()]
    projector = contrast.stage_breakdown["qa"]["projector"].mean_ms
    assert f"projector {bracketed(projector)}" in [label.get_text() for label in labels]
    assert len(labels) == len(WORKLOADS) * (2 * len(STAGES) + 2)
    assert overlapping(figure, labels) == []
    totals = [f"total {bracketed(contrast.latency[w].mean_ms, 'ms')}" for w in WORKLOADS]
    assert set(totals) <= set(texts(figure))


def test_preprocessing_ends_where_the_total_starts() -> None:
    contrast = example.contrast()
    figure = draw_stage_breakdown(contrast)
    before = [patch for patch in bars(figure.axes[0]) if patch.get_x() < 0]
    assert len(before) == 2 * len(WORKLOADS)
    assert contrast.preprocessing
    parts = [contrast.preprocessing[w].parts for w in WORKLOADS]
    for (processor, opening), means in zip((before[:2], before[2:]), parts, strict=True):
        assert processor.get_x() + processor.get_width() == pytest.approx(0)
        assert opening.get_x() + opening.get_width() == pytest.approx(processor.get_x())
        widths = opening.get_width(), processor.get_width()
        assert widths == pytest.approx([means[name].value for name in ("open image", "processor")])
        opened = bracketed(means["open image"], "ms")
        assert f"preprocessing, outside the total: open image {opened}" in texts(figure)
    assert all(patch.get_x() >= 0 for patch in bars(figure.axes[1]))


def test_preprocessing_that_takes_longer_than_the_total_leaves_room_for_all() -> None:
    contrast = example.contrast()
    assert contrast.preprocessing
    long = {
        "open_image_ms": Estimate(value=63.4, low=61.5, high=65.3),
        "processor_ms": Estimate(value=120.0, low=116.4, high=123.6),
    }
    before = {w: one.model_copy(update=long) for w, one in contrast.preprocessing.items()}
    figure = draw_stage_breakdown(example.contrast(preprocessing=before))
    figure.draw_without_rendering()
    totals = [t for t in figure.axes[0].texts if t.get_text().startswith("total")]
    assert len(totals) == len(WORKLOADS)
    right = figure.axes[0].get_window_extent().x1
    assert all(text.get_window_extent().x1 <= right for text in totals)


def test_results_without_preprocessing_are_drawn_from_zero_on() -> None:
    times = draw_stage_breakdown(example.contrast(preprocessing=None)).axes[0]
    assert times.get_xlim()[0] == 0
    assert len(bars(times)) == len(WORKLOADS) * len(STAGES)


def test_curves_go_through_every_request() -> None:
    axes = draw_latency_cdf(example.contrast(), example.cdf_points()).axes[0]
    curve = axes.lines[0]
    latencies = [p.latency_ms for p in example.cdf_points() if p.workload == "qa"]
    assert len(latencies) == example.N_E1
    assert list(curve.get_xdata())[1:] == latencies
    assert list(curve.get_ydata())[-1] == 1.0
    assert curve.get_drawstyle() == "steps-post"
    assert axes.get_xscale() == "log"


def test_similar_latencies_get_a_linear_axis() -> None:
    points = [p for p in example.cdf_points() if p.workload == "qa"]
    alike = [p.model_copy(update={"workload": "captioning"}) for p in points]
    axes = draw_latency_cdf(example.contrast(), points + alike).axes[0]
    assert axes.get_xscale() == "linear"


def test_percentiles_are_marked_and_named() -> None:
    contrast = example.contrast()
    figure = draw_latency_cdf(contrast, example.cdf_points())
    marks = [c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]
    p99 = contrast.latency["captioning"].p99_ms
    assert p99 is not None
    places = [(m.lines[0].get_xdata()[0], m.lines[0].get_ydata()[0]) for m in marks]
    assert len(places) == 6
    assert places[-1] == (p99.value, 0.99)
    assert f"P99 {bracketed(p99, 'ms')}" in texts(figure)


def test_the_caption_of_latencies_gives_the_cause_of_their_tail() -> None:
    latency = example.tails_of_two_causes()
    said = caption(draw_latency_cdf(example.contrast(latency=latency), example.cdf_points()))
    assert said.count("P95 made by the requests, P99 made by the machine") == len(WORKLOADS)
    alone = {w: one.model_copy(update={"variation": None}) for w, one in latency.items()}
    untold = draw_latency_cdf(example.contrast(latency=alone), example.cdf_points())
    assert "made by" not in caption(untold)


def test_a_percentile_that_is_not_available_says_why() -> None:
    reason = "40 requests; at 95% confidence it takes 299"
    whole = example.contrast().latency
    missing = {"p99_ms": None, "not_available": {"p99_ms": reason}}
    latency = whole | {"qa": whole["qa"].model_copy(update=missing)}
    figure = draw_latency_cdf(example.contrast(latency=latency), example.cdf_points())
    assert len(figure.axes[0].containers) == 5
    said = [text.replace("\n", " ") for text in texts(figure)]
    assert f"P99 not available: {reason}" in said


@pytest.mark.parametrize("draw", [draw_pareto, draw_coupling])
def test_the_caption_distinguishes_timed_from_scored_requests(draw: Draw) -> None:
    said = caption(example_figure(draw))
    n = f"{example.N_E2} requests timed and {example.N_SCORED} scored at each setting"
    assert said.count(n) == len(WORKLOADS)


@pytest.mark.parametrize("draw", [draw_pareto, draw_coupling])
def test_a_missing_frontier_says_why_it_is_missing(draw: Draw) -> None:
    figure = draw(example.contrast_without_quality())
    assert f"No frontier: quality is not available.\n{example.WHY}" in texts(figure)
    assert not [c for axes in figure.axes for c in axes.containers]
    assert f"n = {example.N_E2} requests timed" in caption(figure)


def test_latency_is_drawn_without_quality_as_with_it() -> None:
    both = example.contrast_without_quality(), example.contrast()
    for draw in (draw_sensitivity, draw_stage_breakdown, draw_decode_split):
        drawn = [[bar.get_bbox().bounds for a in draw(c).axes for bar in bars(a)] for c in both]
        assert drawn[0] == drawn[1] != []


def test_every_setting_is_a_point_with_whiskers() -> None:
    for axes, workload in zip(example_figure(draw_pareto).axes, WORKLOADS, strict=True):
        points = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert len(points) == len(example.GRID)
        assert all(len(point.lines[2]) == 2 for point in points)
        first = example.frontiers()[workload].points[0]
        level = points[0].lines[2][0]
        assert isinstance(level, LineCollection)
        (low, _), (high, _) = level.get_segments()[0]
        assert (low, high) == pytest.approx((first.latency_ms.low, first.latency_ms.high))


def test_the_frontier_is_stepped_labelled_and_filled() -> None:
    for axes, workload in zip(example_figure(draw_pareto).axes, WORKLOADS, strict=True):
        best = [point for point in example.frontiers()[workload].points if point.on_frontier]
        (steps,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
        assert list(steps.get_xdata()) == [point.latency_ms.value for point in best]
        labels = [
            t.get_text() for t in axes.texts if "/" in t.get_text() and " " not in t.get_text()
        ]
        assert labels == [point.label for point in best]
        points = [c.lines[0] for c in axes.containers if isinstance(c, ErrorbarContainer)]
        filled = [line for line in points if line and line.get_markerfacecolor() != "white"]
        assert len(filled) == len(best)


def test_labels_lie_on_no_other_label() -> None:
    figure = example_figure(draw_pareto)
    for axes in figure.axes:
        labels: list[Text] = [t for t in axes.texts if isinstance(t, Annotation)]
        assert len(labels) > 5
        assert overlapping(figure, labels) == []


def test_points_are_as_large_as_their_share_of_resamples() -> None:
    axes = example_figure(draw_pareto).axes[0]
    drawn = [c.lines[0] for c in axes.containers if isinstance(c, ErrorbarContainer)]
    sizes = [line.get_markersize() for line in drawn if line]
    shares = [point.frontier_share for point in example.frontiers()["qa"].points]
    assert sorted(zip(shares, sizes, strict=True)) == sorted(
        zip(sorted(shares), sorted(sizes), strict=True)
    )
    assert len(set(sizes)) == len(set(shares)) > 2


def test_the_reference_setting_is_ringed() -> None:
    for axes, workload in zip(example_figure(draw_pareto).axes, WORKLOADS, strict=True):
        (ring,) = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
        (one,) = [p for p in example.frontiers()[workload].points if p.setting == example.GRID[0]]
        place = ring.get_xdata()[0], ring.get_ydata()[0]
        assert place == (one.latency_ms.value, one.quality.value)


def test_a_frontier_of_one_setting_has_no_steepness() -> None:
    frontiers = example.frontiers()
    frontiers["qa"] = frontiers["qa"].model_copy(update={"steepness": None})
    figure = draw_pareto(example.contrast(frontiers=frontiers))
    assert "steepness undefined: no setting is surely faster" in texts(figure)
    steepness = frontiers["captioning"].steepness
    assert steepness
    told = bracketed(steepness)
    assert f"steepness {told} (quality lost / latency saved)" in texts(figure)


def test_bars_are_as_high_as_the_changes() -> None:
    contrast = example.contrast()
    panels = draw_sensitivity(contrast).axes
    for axes, knob in zip(panels, KNOBS, strict=True):
        expected = [
            point.latency_change_percent.value
            for workload in WORKLOADS
            for point in contrast.sensitivity[workload][knob]
        ]
        assert [bar.get_height() for bar in bars(axes)] == expected
        assert len([c for c in axes.containers if isinstance(c, ErrorbarContainer)]) == 2
        assert f"{expected[0]:+.1f}".replace("-", "−") in [t.get_text() for t in axes.texts]


def test_numbers_of_bars_do_not_overlap() -> None:
    figure = example_figure(draw_sensitivity)
    assert overlapping(figure, [text for axes in figure.axes for text in axes.texts]) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [(4, "not varied\n(only value: 4)"), (None, "not varied\n(left as the model has it)")],
)
def test_a_knob_with_one_value_is_said_to_be_not_varied(value: int | None, said: str) -> None:
    one = {w: knobs | {"top_k": ()} for w, knobs in example.contrast().sensitivity.items()}
    reference = example.GRID[0].model_copy(update={"top_k": value})
    contrast = example.contrast(sensitivity=one)
    figure = draw_sensitivity(contrast.model_copy(update={"reference": reference}))
    assert [bool(bars(axes)) for axes in figure.axes] == [True, False, True]
    assert said in texts(figure)


def test_a_grid_of_one_setting_is_drawn_too() -> None:
    none = {w: dict.fromkeys(KNOBS, ()) for w in WORKLOADS}
    figure = draw_sensitivity(example.contrast(sensitivity=none))
    assert sum("not varied" in text for text in texts(figure)) == len(KNOBS)


def test_decode_bars_show_both_parts_and_a_mark_their_sum() -> None:
    contrast = example.contrast()
    panels = iter(draw_decode_split(contrast).axes)
    for workload, knob in ((w, k) for w in WORKLOADS for k in KNOBS):
        axes = next(panels)
        percents = [split.percent for split in contrast.decode_split[workload].knobs[knob]]
        parts = [[getattr(p, name).value for p in percents] for name in ("length", "speed")]
        assert [bar.get_height() for bar in bars(axes)] == pytest.approx(parts[0] + parts[1])
        (sums,) = [line for line in axes.lines if line.get_marker() == "D"]
        assert list(sums.get_ydata()) == pytest.approx(
            [sum(pair) for pair in zip(*parts, strict=True)]
        )
        assert f"{parts[1][0]:+.1f}".replace("-", "−") in [t.get_text() for t in axes.texts]


def test_numbers_of_decode_bars_do_not_overlap() -> None:
    figure = example_figure(draw_decode_split)
    for axes in figure.axes:
        assert overlapping(figure, list(axes.texts)) == []


def test_single_tokens_have_no_decode_to_split() -> None:
    splits = example.contrast().decode_split["qa"]
    knobs = {
        k: tuple(s.model_copy(update={"percent": None}) for s in own)
        for k, own in splits.knobs.items()
    }
    changes = {"reference_ms_per_step": None, "knobs": knobs}
    both = {"qa": splits.model_copy(update=changes), "captioning": splits}
    figure = draw_decode_split(example.contrast(decode_split=both))
    assert [bool(bars(axes)) for axes in figure.axes] == [False] * 3 + [True] * 3
    assert texts(figure).count("no decode step\n(outputs are single tokens)") == len(KNOBS)


def test_each_value_of_a_knob_has_its_frontier_and_shift() -> None:
    contrast = example.contrast()
    assert contrast.frontiers
    panels = iter(draw_coupling(contrast).axes)
    for workload in WORKLOADS:
        points = {point.label: point for point in contrast.frontiers[workload].points}
        for knob in KNOBS:
            axes, fixed = next(panels), contrast.frontiers[workload].coupling.fixed[knob]
            assert [line.get_label() for line in axes.lines] == [str(one.value) for one in fixed]
            for line, one in zip(axes.lines, fixed, strict=True):
                shares = [points[label].latency_fraction.value for label in one.labels]
                assert list(line.get_xdata()) == pytest.approx([100 * share for share in shares])
            for one in fixed[1:]:
                shift = one.latency_shift
                value, low, high = (f"{100 * v:+.1f}" for v in (shift.value, shift.low, shift.high))
                told = f"{one.value}: {value} [{low}, {high}] points".replace("-", "−")
                assert told in axes.get_xlabel().splitlines()
            assert len(axes.get_xlabel().splitlines()) == len(fixed)
        areas = next(panels)
        frontier = contrast.frontiers[workload]
        drawn = [*(one.hypervolume for one in frontier.single_knob), frontier.hypervolume]
        assert [bar.get_width() for bar in bars(areas)] == pytest.approx([a.value for a in drawn])
        assert frontier.coupling.joint_gain
        assert bracketed(frontier.coupling.joint_gain) in areas.get_title()


def test_a_knob_with_one_value_has_no_frontier_of_its_own() -> None:
    frontiers = example.frontiers()
    coupling = frontiers["qa"].coupling
    fixed = {k: v for k, v in coupling.fixed.items() if k != "top_k"}
    changes = {"coupling": coupling.model_copy(update={"fixed": fixed})}
    frontiers["qa"] = frontiers["qa"].model_copy(update=changes)
    figure = draw_coupling(example.contrast(frontiers=frontiers))
    assert "not varied\n(only value: 4)" in texts(figure)
    assert [len(axes.lines) for axes in figure.axes[:3]] == [3, 0, 3]


def test_stages_lie_below_the_roof_by_their_times_over_the_floor() -> None:
    contrast = example.contrast()
    plane = draw_roofline(contrast).axes[0]
    roof = plane.lines[0]
    rates = contrast.device_rates
    assert max(roof.get_ydata()) == pytest.approx(rates.matrix_tflop_per_s * 1e12)
    (x, y) = roof.get_xdata()[0], roof.get_ydata()[0]
    assert y / x == pytest.approx(rates.copy_gb_per_s * 1e9)
    marks = [c.lines[0] for c in plane.containers if isinstance(c, ErrorbarContainer)]
    drawn = {(mark.get_marker(), mark.get_color()): mark.get_xydata()[0] for mark in marks}
    lines = [one for one in plane.collections if isinstance(one, LineCollection)]
    drops = [[*start, *end] for one in lines for start, end in one.get_segments()]
    for workload in WORKLOADS:
        for stage, one in contrast.roofline[workload][0].stages.items():
            x, y = drawn[WORKLOAD_MARKERS[workload], STAGE_COLOURS[stage]]
            reachable = np.interp(np.log(x), np.log(roof.get_xdata()), np.log(roof.get_ydata()))
            assert np.exp(reachable) / y == pytest.approx(one.over_floor.value)
            assert pytest.approx([x, y, x, np.exp(reachable)]) in drops
    assert len(drawn) == len(WORKLOADS) * len(STAGES)


def test_marks_of_both_workloads_show_where_they_coincide() -> None:
    plane = example_figure(draw_roofline).axes[0]
    marks = [c.lines[0] for c in plane.containers if isinstance(c, ErrorbarContainer)]
    below, above = marks[: len(STAGES)], marks[len(STAGES) :]  # drawn one after another
    assert {mark.get_marker() for mark in below}.isdisjoint(m.get_marker() for m in above)
    assert min(m.get_markersize() for m in below) > max(m.get_markersize() for m in above)


def test_intervals_of_times_are_those_of_rates() -> None:
    contrast = example.contrast()
    plane = draw_roofline(contrast).axes[0]
    bars = [c for c in plane.containers if isinstance(c, ErrorbarContainer)]
    drawn = {(one.lines[0].get_marker(), one.lines[0].get_color()): one for one in bars}
    for workload in WORKLOADS:
        for stage, one in contrast.roofline[workload][0].stages.items():
            mark, _, (bar,) = drawn[WORKLOAD_MARKERS[workload], STAGE_COLOURS[stage]].lines
            assert isinstance(bar, LineCollection)
            ((_, slow), (_, fast)) = bar.get_segments()[0]
            reached, time = mark.get_ydata()[0], one.measured_ms
            assert slow == pytest.approx(reached * time.value / time.high)
            assert fast == pytest.approx(reached * time.value / time.low)


def test_ceilings_are_named_with_their_rates() -> None:
    said = texts(example_figure(draw_roofline))
    assert {"bandwidth 20 GB/s", "matrix rate 100 Gop/s"} <= set(said)


def test_each_stage_says_its_times_over_the_floor_and_what_bounds_it() -> None:
    contrast = example.contrast()
    floors = draw_roofline(contrast).axes[1]
    said = [text.get_text() for text in floors.texts]
    stages = [one for w in WORKLOADS for one in contrast.roofline[w][0].stages.values()]
    assert {one.bound_by for one in stages} == {"operations", "bytes"}
    for one in stages:
        times = bracketed(one.over_floor)
        assert f"{times} × {one.floor_ms:.3g} ms, {one.bound_by}" in said
    marks = [c.lines[0] for c in floors.containers if isinstance(c, ErrorbarContainer)]
    places = sorted(mark.get_xdata()[0] for mark in marks)
    assert places == pytest.approx(sorted(one.over_floor.value for one in stages))


def test_outputs_of_one_token_have_no_decode_below_the_roof() -> None:
    contrast = example.contrast()
    short = contrast.roofline["qa"][0]
    stages = {s: one for s, one in short.stages.items() if s != "decode"}
    cells = {"qa": (short.model_copy(update={"stages": stages}),)}
    figure = draw_roofline(example.contrast(roofline=contrast.roofline | cells))
    for axes in figure.axes:
        marks = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert len(marks) == 2 * len(STAGES) - 1


def test_intervals_beside_their_value_still_make_whiskers() -> None:
    assert whiskers([Estimate(value=1.0, low=1.5, high=2.0)]) == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("value", "said"), [(1234.0, "1234 ms"), (31.94, "31.9 ms"), (0.3, "0.30 ms"), (0.0, "0.0 ms")]
)
def test_numbers_have_three_digits(value: float, said: str) -> None:
    assert bracketed(Estimate(value=value, low=value, high=value), "ms").startswith(f"{said} [")


def test_drawing_leaves_no_trace_in_matplotlib() -> None:
    before = dict(mpl.rcParams)
    draw_sensitivity(example.contrast())
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not mpl.pyplot.get_fignums()


def test_the_same_drawing_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        save_figure(draw_sensitivity(example.contrast()), tmp_path / name)
    first = (tmp_path / "one.png").read_bytes()
    assert first == (tmp_path / "two.png").read_bytes()
    assert b"Software" not in first
    assert b"matplotlib" not in first


def write_inputs(folder: Path) -> None:
    write_record(example.contrast(), folder / "contrast.json")
    rows = [point.model_dump() for point in example.cdf_points()]
    write_plot_rows(rows, folder / "cdf.json")


def test_the_stage_writes_every_figure(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    names = {"contrast": "contrast.json", "cdf": "cdf.json", "out": "figures"}
    words = [word for option, name in names.items() for word in (f"--{option}", name)]
    done = forked.run(forked.Program("stages.figures", words, tmp_path))
    assert done.returncode == 0, done.stderr
    pngs = sorted((tmp_path / "figures").iterdir())
    assert [png.stem for png in pngs] == sorted(DRAWINGS)
    assert all(png.read_bytes().startswith(b"\x89PNG") for png in pngs)


def test_a_run_without_work_at_the_reference_has_no_roofline(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    other_settings = {"qa": (), "captioning": example.contrast().roofline["captioning"][1:]}
    write_record(example.contrast(roofline=other_settings), tmp_path / "contrast.json")
    of_another_run = tmp_path / "figures/m1_roofline.png"
    of_another_run.parent.mkdir()
    of_another_run.touch()
    main(tmp_path / "contrast.json", tmp_path / "cdf.json", tmp_path / "figures")
    drawn = {png.stem for png in (tmp_path / "figures").iterdir()}
    assert drawn == set(DRAWINGS) - {"m1_roofline"}


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("[]", "no rows"),
        ('[{"workload": "qa", "latency_ms": "1", "share_of_requests": 1}]', "0.latency_ms = .1"),
        ("nonsense", "not JSON"),
    ],
)
def test_wrong_plot_data_is_named(tmp_path: Path, content: str, wrong: str) -> None:
    write_inputs(tmp_path)
    (tmp_path / "cdf.json").write_text(content)
    with pytest.raises(UserError, match=f"cdf.json: .*{wrong}"):
        main(tmp_path / "contrast.json", tmp_path / "cdf.json", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_plot_data_are_read_as_written(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    points = read_plot_rows(LatencyPoint, tmp_path / "cdf.json")
    assert points == example.cdf_points()
    assert isinstance(points[0], LatencyPoint)


@pytest.mark.parametrize("draw", [DRAWINGS["m1_latency_cdf"], DRAWINGS["m1_roofline"]])
def test_a_name_is_written_as_it_is_and_not_as_a_formula(draw: Draw) -> None:
    """matplotlib reads text between dollar signs as a formula; a wrong formula is an error."""
    result = example.contrast()
    seen = result.provenance.model_copy(update={"model": r"a_b$\x_1^$c\n" + "\x1b[1m"})
    figure = draw(result.model_copy(update={"provenance": seen}))
    figure.draw_without_rendering()
    assert r"a_b$\x_1^$c\n\x1b[1m on " in caption(figure)
    # Nor are the ticks formulas.
    assert not [text for text in texts(figure) if "\\math" in text]
