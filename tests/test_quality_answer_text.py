"""The scored part of an output, if the model marks its reasoning or its answer."""

import pytest

from m1.quality.answer_text import answer_text
from m1.schemas.markup import Marks, Markup

THINK = Marks(opening="<think>", closing="</think>")
OPENED = THINK.model_copy(update={"opened_by_prompt": True})
ANSWER = Marks(opening="<answer>", closing="</answer>")
BOX = Marks(opening="<|begin_of_box|>", closing="<|end_of_box|>")
OTHER = Marks(opening="[THINK]", closing="[/THINK]")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("<think>A cup?\nOr red.</think>\n\nred", "red"),
        ("<think></think>red\nfor it is", "red\nfor it is"),
        ("A cup, as it seems.</think> red", "red"),
        ("<think>a</think><think>b</think>red", "red"),
        ("<think>It is r", ""),
        ("red <think>or is it", "red"),
        ("<think>done</think>", ""),
        (" red ", "red"),
        ("", ""),
    ],
)
def test_reasoning_is_no_part_of_the_answer(output: str, expected: str) -> None:
    assert answer_text(output, Markup(reasoning=(THINK,))) == expected
    assert answer_text(output, Markup(reasoning=(OTHER, THINK))) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [("It is red.</think>\nred", "red"), ("It is r", ""), ("<think>a</think>red", "red")],
)
def test_if_the_prompt_opens_the_reasoning_it_has_to_end(output: str, expected: str) -> None:
    assert answer_text(output, Markup(reasoning=(OPENED,))) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("The color is <|begin_of_box|>red<|end_of_box|>.", "red"),
        ("<|begin_of_box|>a<|end_of_box|> no, <|begin_of_box|>red<|end_of_box|>", "red"),
        ("<|begin_of_box|>dark r", "dark r"),
        ("<answer>It is <|begin_of_box|>red<|end_of_box|></answer>", "red"),
        ("<answer>red</answer> I think", "red"),
        ("<think><|begin_of_box|>blue<|end_of_box|></think><answer>red", "red"),
        ("red", "red"),
    ],
)
def test_an_answer_is_the_content_of_its_box(output: str, expected: str) -> None:
    assert answer_text(output, Markup(reasoning=(THINK,), box=(ANSWER, BOX))) == expected


def test_without_marks_nothing_is_removed() -> None:
    output = "<think>a</think> <answer>red</answer>"
    assert answer_text(output, Markup()) == output
    assert Markup().told == ""
