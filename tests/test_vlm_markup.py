"""The marks of reasoning and boxes that a model's own template or tokenizer knows."""

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AddedToken, DynamicCache

from m1.quality.answer_text import answer_text
from m1.schemas.markup import Marks, Markup
from m1.vlm.engine import Generation, text_of
from m1.vlm.markup import find_markup
from m1.vlm.model import LoadedVlm
from m1.vlm.prompts import Prompts

THINK = Marks(opening="<think>", closing="</think>")
BOX = Marks(opening="<|begin_of_box|>", closing="<|end_of_box|>")


def with_tokens(vlm: LoadedVlm, *tokens: str, special: bool, template: str = "") -> LoadedVlm:
    """The embedded model, its tokenizer knowing some more tokens."""
    processor: Any = copy.copy(vlm.processor)
    processor.tokenizer = copy.deepcopy(processor.tokenizer)
    added = [AddedToken(token, special=special, normalized=False) for token in tokens]
    processor.tokenizer.add_tokens(added, special_tokens=special)
    processor.chat_template += template
    return replace(vlm, processor=processor)


def test_a_model_that_marks_nothing_has_no_marks(vlm) -> None:
    assert vlm.markup == Markup()
    assert vlm.kept_tokens == {}


@pytest.mark.parametrize("special", [True, False])
def test_marks_of_the_tokenizer_stay_in_the_text_and_are_removed_for_scoring(vlm, special) -> None:
    marks = ("<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>")
    thinking = with_tokens(vlm, *marks, special=special)
    assert thinking.markup == Markup(reasoning=(THINK,), box=(BOX,))
    tokenizer = thinking.processor.tokenizer
    said = "<think>a blue circle</think><|begin_of_box|>red<|end_of_box|><eos>"
    tokens = tokenizer(said, add_special_tokens=False)["input_ids"]
    text = text_of(thinking, Generation(tuple(tokens), "stop", DynamicCache()))
    assert text.replace(" ", "") == said.removesuffix("<eos>").replace(" ", "")
    assert answer_text(text, thinking.markup) == "red"
    # Cut within the reasoning, it is no answer.
    cut = text_of(thinking, Generation(tuple(tokens[:3]), "length", DynamicCache()))
    assert cut.startswith("<think>")
    assert answer_text(cut, thinking.markup) == ""


def test_marks_of_the_template_count_and_so_does_a_prompt_that_opens_them(vlm) -> None:
    opened = with_tokens(vlm, special=False, template="<think>\n")
    assert opened.markup == Markup()  # the closing mark is nowhere
    closing = "{% if x is defined %}</think>{% endif %}"
    known = with_tokens(vlm, special=False, template=closing)
    assert known.markup == Markup(reasoning=(THINK,))
    opened = with_tokens(vlm, special=False, template=f"{closing}<think>\n")
    assert opened.markup.reasoning == (THINK.model_copy(update={"opened_by_prompt": True}),)
    closed = with_tokens(vlm, special=False, template="<think>\n\n</think>\n")
    assert closed.markup.reasoning == (THINK,)


def test_what_a_response_template_states_comes_first(vlm) -> None:
    field = {"open": "<|channel>thought\n", "close": "<channel|>", "content": "text"}
    stating = with_tokens(vlm, "<|channel>", "<channel|>", special=True)
    stating.processor.tokenizer.response_template = {"fields": {"reasoning_content": field}}
    stating = replace(stating)
    assert stating.markup.reasoning == (Marks(opening="<|channel>thought", closing="<channel|>"),)
    assert set(stating.kept_tokens.values()) == {"<|channel>", "<channel|>"}


def test_a_stand_in_without_tokenizer_marks_nothing() -> None:
    bare = SimpleNamespace(chat_template=None, image_token="<image>", tokenizer=lambda text: {})
    assert find_markup(Prompts(bare, 3)) == Markup()
