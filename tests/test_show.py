"""The tables of `m1 show` about decode, coupling and roofline."""

import io

import pytest
from contrast_example import contrast, contrast_without_quality, decode_splits, frontier, roofline

from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
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


def test_the_split_is_of_each_smallest_value_and_of_all_together() -> None:
    table = decode_rows(contrast())
    assert table[:2] == [
        ["steps at the reference", *["44.0 (42.7 to 45.3)"] * 2],
        ["ms a step", *["3.70 (3.59 to 3.81)"] * 2],
    ]
    assert [name for name, *_ in table[2::3]] == [
        "16/4/8, %",
        "144/1/8, %",
        "144/4/4, %",
        "16/1/4, %",
    ]
    half_the_blocks = [cell.split()[0] for _, cell, _ in table[8:11]]
    assert half_the_blocks == ["-45.0", "+5.0", "-50.0"]  # the change, of length, of speed


def test_where_the_corner_of_the_grid_was_not_measured_the_split_does_without() -> None:
    ofat = {
        w: (splits := decode_splits(w)).model_copy(
            update={"settings": tuple(s for own in splits.knobs.values() for s in own)}
        )
        for w in WORKLOADS
    }
    names = [name for name, *_ in decode_rows(contrast(decode_split=ofat))[2::3]]
    assert names == ["16/4/8, %", "144/1/8, %", "144/4/4, %"]


def test_a_single_knob_is_its_own_corner() -> None:
    one = {
        w: (splits := decode_splits(w)).model_copy(
            update={"knobs": {"top_k": splits.knobs["top_k"]}, "settings": splits.knobs["top_k"]}
        )
        for w in WORKLOADS
    }
    assert [name for name, *_ in decode_rows(contrast(decode_split=one))[2::3]] == ["144/1/8, %"]


def test_single_tokens_have_no_decode_step_to_tell_of() -> None:
    splits = decode_splits("qa")
    knobs = {
        k: tuple(s.model_copy(update={"percent": None}) for s in own)
        for k, own in splits.knobs.items()
    }
    short = splits.model_copy(update={"reference_ms_per_step": None, "knobs": knobs})
    table = decode_rows(contrast(decode_split={"qa": short, "captioning": splits}))
    assert table[1][1:] == ["no decode step", "3.70 (3.59 to 3.81)"]
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
    assert [cells[0].split()[0] for _, *cells in table] == ["0.30", "0.35", "0.40", "0.60", "0.20"]
    assert table[3][1:] == ["0.60 (0.58 to 0.62)"] * 2


def test_a_knob_with_one_value_has_no_area_of_its_own() -> None:
    whole = frontier("qa")
    alone = tuple(one for one in whole.single_knob if one.knob != "top_k")
    frontiers = {
        "qa": whole.model_copy(update={"single_knob": alone}),
        "captioning": frontier("captioning"),
    }
    table = rows(shown(contrast(frontiers=frontiers)), "Area of the frontier (hypervolume)")
    assert table[1] == ["top_k alone", "not varied", "0.35 (0.34 to 0.36)"]


def test_without_quality_there_is_no_area_but_decode_is_told() -> None:
    output = shown(contrast_without_quality())
    assert "hypervolume" not in output
    assert rows(output, "Change of decode time")


def test_each_stage_says_its_times_over_the_floor_and_what_bounds_it() -> None:
    table = rows(shown(contrast()), "Times the floor by 0.1 TFLOP/s and 20 GB/s, reference setting")
    assert table[4:8] == [
        ["prefill", *["2.50 (2.42 to 2.58)"] * 2],
        ["floor, bound by", "9.12 ms, operations", "9.32 ms, operations"],
        ["decode, a token", *["16.00 (15.52 to 16.48)"] * 2],
        ["floor, bound by", "0.263 ms, bytes", "0.231 ms, bytes"],
    ]


@pytest.mark.parametrize("kept", [slice(0, 0), slice(1, None)], ids=["none", "other settings"])
def test_without_work_at_the_reference_there_is_no_roofline(kept: slice) -> None:
    output = shown(contrast(roofline={w: roofline(w)[kept] for w in WORKLOADS}))
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
def test_raw_prompts_are_told(template, weights, said) -> None:
    result = contrast()
    seen = result.provenance.model_copy(update={"prompt_template": template, "weights": weights})
    told = shown(result.model_copy(update={"provenance": seen}))
    assert ("Raw prompts. No chat template was found" in " ".join(told.split())) == said


@pytest.mark.parametrize(("ceiling", "said"), [(1 / 3, True), (1.0, False), (None, False)])
def test_a_quality_that_is_out_of_reach_is_told(ceiling, said) -> None:
    frontiers = {w: frontier(w) for w in WORKLOADS}
    frontiers["qa"] = frontiers["qa"].model_copy(update={"quality_ceiling": ceiling})
    table = rows(shown(contrast(frontiers=frontiers)), "At the reference setting")
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
