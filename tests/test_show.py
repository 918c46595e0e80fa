"""The tables of `m1 show` about decode, coupling and roofline."""

import io

import pytest
from contrast_example import contrast, contrast_without_quality, frontiers, spoiled_milliseconds

from m1.schemas.requests import WORKLOADS
from m1.schemas.results import Estimate, Preprocessing, WorkloadContrast
from m1.schemas.results.findings import NotTested
from m1.show.result import show_result
from m1.terminal import Terminal


def shown(result: WorkloadContrast) -> str:
    page = io.StringIO()
    show_result(result, Terminal(file=page, width=80))
    return page.getvalue()


def rows(output: str, title: str) -> list[list[str]]:
    """The cells of the table below a title, without rules and heading."""
    _, _, below = output.partition(title)
    lines = below.split("└")[0].splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def decode_rows(result: WorkloadContrast) -> list[list[str]]:
    return rows(shown(result), "Change of decode time from the reference setting 144/4/8")


def headline(result: WorkloadContrast) -> dict[str, list[str]]:
    table = rows(shown(result), "At the reference setting 144/4/8")
    return {name: cells for name, *cells in table}


def told(estimate: Estimate | None, form: str) -> str:
    """A number and its interval."""
    assert estimate
    value, low, high = (format(v, form) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def test_preprocessing_stands_outside_the_total() -> None:
    table = headline(contrast())
    names = list(table)
    place = names.index("outside the total:")
    assert names[place + 1 : place + 6] == [
        "preprocess_ms",
        "opening the image",
        "processor",
        "its p50, p95",
        "relative to the total",
    ]
    before = list((contrast().preprocessing or {}).values())
    assert table["preprocess_ms"] == [told(one.mean_ms, ".1f") for one in before]
    assert table["opening the image"] == [told(one.open_image_ms, ".1f") for one in before]
    percentiles = [cell.split(" / ") for cell in table["its p50, p95"]]
    for one, cells in zip(before, percentiles, strict=True):
        assert one.p50_ms
        assert one.p95_ms
        assert cells == [f"{one.p50_ms.value:.1f}", f"{one.p95_ms.value:.1f}"]
    relative = [told(one.relative_to_total, ".1%") for one in before]
    assert table["relative to the total"] == relative


def test_incomplete_preprocessing_is_not_shown_as_complete() -> None:
    whole = contrast().preprocessing or {}
    before = {w: Preprocessing(processor_ms=one.processor_ms) for w, one in whole.items()}
    table = headline(contrast(preprocessing=before))
    assert table["preprocess_ms"] == table["opening the image"] == ["not available"] * 2
    assert table["processor"] == [told(one.processor_ms, ".1f") for one in before.values()]
    assert "outside the total:" not in headline(contrast(preprocessing=None))


def test_the_split_is_of_each_smallest_value_and_of_all_together() -> None:
    table, splits = decode_rows(contrast()), contrast().decode_split
    both = [splits[w] for w in WORKLOADS]
    assert table[:2] == [
        ["steps at the reference", *(told(one.reference_n_steps, ".1f") for one in both)],
        ["ms a step", *(told(one.reference_ms_per_step, ".2f") for one in both)],
    ]
    assert [name for name, *_ in table[2::3]] == [
        "16/4/8, %",
        "144/1/8, %",
        "144/4/4, %",
        "16/1/4, %",
    ]
    half_the_blocks = splits["qa"].knobs["active_blocks"][-1].percent
    assert half_the_blocks
    change, length, speed = (
        getattr(half_the_blocks, part) for part in ("change", "length", "speed")
    )
    assert [cell for _, cell, _ in table[8:11]] == [
        told(part, "+.1f") for part in (change, length, speed)
    ]
    assert change.value == pytest.approx(length.value + speed.value)


def test_a_split_without_the_corner_of_the_grid_leaves_it_out() -> None:
    ofat = {
        w: splits.model_copy(
            update={"settings": tuple(s for own in splits.knobs.values() for s in own)}
        )
        for w, splits in contrast().decode_split.items()
    }
    names = [name for name, *_ in decode_rows(contrast(decode_split=ofat))[2::3]]
    assert names == ["16/4/8, %", "144/1/8, %", "144/4/4, %"]


def test_a_single_knob_is_its_own_corner() -> None:
    one = {
        w: splits.model_copy(
            update={"knobs": {"top_k": splits.knobs["top_k"]}, "settings": splits.knobs["top_k"]}
        )
        for w, splits in contrast().decode_split.items()
    }
    assert [name for name, *_ in decode_rows(contrast(decode_split=one))[2::3]] == ["144/1/8, %"]


def test_single_tokens_have_no_decode_step() -> None:
    both = contrast().decode_split
    splits = both["qa"]
    knobs = {
        k: tuple(s.model_copy(update={"percent": None}) for s in own)
        for k, own in splits.knobs.items()
    }
    short = splits.model_copy(update={"reference_ms_per_step": None, "knobs": knobs})
    table = decode_rows(contrast(decode_split=both | {"qa": short}))
    of_captions = told(both["captioning"].reference_ms_per_step, ".2f")
    assert table[1][1:] == ["no decode step", of_captions]
    assert [qa for _, qa, _ in table[2:5]] == ["no decode step"] * 3
    assert "no decode step" not in {captions for _, _, captions in table}


def test_knobs_alone_stand_beside_all_of_them() -> None:
    table = rows(shown(contrast()), "Area of the frontier (hypervolume)")
    assert [name for name, *_ in table] == [
        "vision_tokens alone",
        "top_k alone",
        "active_blocks alone",
        "all knobs",
        "all minus the best alone",
    ]
    for column, w in enumerate(WORKLOADS, 1):
        one = frontiers()[w]
        alone = [single.hypervolume for single in one.single_knob]
        areas = [*alone, one.hypervolume, one.coupling.joint_gain]
        assert [row[column] for row in table] == [told(area, ".2f") for area in areas]


def test_a_knob_with_one_value_has_no_area_of_its_own() -> None:
    whole = frontiers()
    alone = tuple(one for one in whole["qa"].single_knob if one.knob != "top_k")
    changed = whole | {"qa": whole["qa"].model_copy(update={"single_knob": alone})}
    table = rows(shown(contrast(frontiers=changed)), "Area of the frontier (hypervolume)")
    _, top_k, _ = whole["captioning"].single_knob
    assert table[1] == ["top_k alone", "not varied", told(top_k.hypervolume, ".2f")]


def test_without_quality_there_is_no_area_but_decode_is_shown() -> None:
    output = shown(contrast_without_quality())
    assert "hypervolume" not in output
    assert rows(output, "Change of decode time")


def test_each_stage_says_its_times_over_the_floor_and_what_bounds_it() -> None:
    table = rows(shown(contrast()), "Times the floor by 0.1 TFLOP/s and 20 GB/s, reference setting")
    prefill, decode = (
        [contrast().roofline[w][0].stages[stage] for w in WORKLOADS]
        for stage in ("prefill", "decode")
    )
    assert {one.bound_by for one in (*prefill, *decode)} == {"operations", "bytes"}
    assert table[4:8] == [
        ["prefill", *(told(one.over_floor, ".2f") for one in prefill)],
        ["floor, bound by", *(f"{one.floor_ms:.3g} ms, {one.bound_by}" for one in prefill)],
        ["decode, a token", *(told(one.over_floor, ".2f") for one in decode)],
        ["floor, bound by", *(f"{one.floor_ms:.3g} ms, {one.bound_by}" for one in decode)],
    ]


@pytest.mark.parametrize("kept", [slice(0, 0), slice(1, None)], ids=["none", "other settings"])
def test_without_work_at_the_reference_there_is_no_roofline(kept: slice) -> None:
    output = shown(contrast(roofline={w: r[kept] for w, r in contrast().roofline.items()}))
    assert "Times the floor" not in output


def test_no_table_breaks_its_lines_in_a_terminal_of_80_columns() -> None:
    output = shown(contrast())
    for title in ("Change of decode time", "Area of the frontier", "Times the floor"):
        assert all(name for name, *_ in rows(output, title))


@pytest.mark.parametrize(
    ("template", "weights", "said"),
    [
        ("none", "pretrained", True),
        ("none", "random", False),
        ("tokenizer", "pretrained", False),
        (None, "pretrained", False),
    ],
)
def test_raw_prompts_are_mentioned(template, weights, said) -> None:
    result = contrast()
    seen = result.provenance.model_copy(update={"prompt_template": template, "weights": weights})
    told = shown(result.model_copy(update={"provenance": seen}))
    assert ("Raw prompts. No chat template was found" in " ".join(told.split())) == said


@pytest.mark.parametrize(("ceiling", "said"), [(1 / 3, True), (1.0, False), (None, False)])
def test_a_quality_that_cannot_be_reached_is_mentioned(ceiling, said) -> None:
    changed = {
        w: one.model_copy(update={"quality_ceiling": ceiling if w == "qa" else None})
        for w, one in frontiers().items()
    }
    table = rows(shown(contrast(frontiers=changed)), "At the reference setting")
    found = [cells for name, *cells in table if name == "largest quality possible"]
    assert found == ([["0.333", "not available"]] if said else [])


@pytest.mark.parametrize("name", ["[bold]a[/bold]", "a[/]", "a\x1b]0;b\x07", ":smile:", "a\nVALID"])
def test_names_and_reasons_are_shown_as_they_are(name) -> None:
    """Rich reads brackets as markup, and a terminal what follows an escape."""
    result = contrast()
    seen = result.provenance.model_copy(update={"model": name})
    answers = result.answers.model_copy(update={"dominant_stages": f"{name} is slow."})
    untested = NotTested(id="a", claim=name, reason="there is no quality")
    changes = {"provenance": seen, "answers": answers, "not_tested": (untested,)}
    page = shown(result.model_copy(update=changes))
    written = name.replace("\x1b", r"\x1b").replace("\x07", r"\x07")
    first_line, _, _ = page.partition("\n")
    assert written.replace("\n", " ") in first_line
    assert page.count(written.split("\n")[0]) >= 3
    assert not {"\x1b", "\x07"} & set(page)


def test_a_run_valid_for_ratios_says_so_first() -> None:
    spoiled = contrast().model_copy(update={"validity": spoiled_milliseconds()})
    output = shown(spoiled)
    assert output.startswith("VALID FOR RATIOS run: ")
    assert "it drifted" in output.split("Intervals.")[0]


def compiled_on_a_gpu(n_processes: int, *, keep: bool = False) -> WorkloadContrast:
    changes = {"runtime": "compiled", "device_type": "cuda", "keep_compiled": keep}
    origin = contrast().provenance.model_copy(update=changes)
    return contrast().model_copy(update={"provenance": origin, "n_processes": n_processes})


def intervals_of(result: WorkloadContrast) -> str:
    _, _, after = shown(result).partition("Intervals. ")
    return " ".join(after.split("\n\n")[0].split())


def test_intervals_say_what_they_hold() -> None:
    assert intervals_of(contrast()).startswith("They are of one process")
    several = contrast().model_copy(update={"n_processes": 5})
    assert (
        intervals_of(several) == "They hold what differs between trials, and between 5 processes."
    )


@pytest.mark.parametrize(
    ("n_processes", "keep", "decides"),
    [(1, False, False), (2, False, False), (3, False, True), (3, True, False)],
)
def test_a_compiled_model_says_when_it_cannot_decide(n_processes, keep, decides) -> None:
    told = intervals_of(compiled_on_a_gpu(n_processes, keep=keep))
    assert ("decides a finding only if it was compiled 3 times" in told) != decides
