"""The part of an output that is scored: without reasoning, and without the box around it."""

from m1.schemas.markup import Marks, Markup


def answer_text(output: str, markup: Markup) -> str:
    """Return the text of an output after its reasoning.

    It is empty if the output ends inside the reasoning, since then there is no answer.

    Args:
        output: the model's output, with its marks.
        markup: the marks of the model. Without marks, only the space around the output is removed.
    """
    text = output
    for marks in markup.reasoning:
        text = _after(text, marks)
    for marks in markup.box:
        text = _inside(text, marks)
    return text.strip()


def _after(text: str, marks: Marks) -> str:
    """The text after the reasoning; if the reasoning does not end, the text before it."""
    _, closed, after = text.rpartition(marks.closing)
    if closed:
        return after
    return "" if marks.opened_by_prompt else text.partition(marks.opening)[0]


def _inside(text: str, marks: Marks) -> str:
    """The text in the last box. If the output was cut, the box may not be closed."""
    _, opened, inside = text.rpartition(marks.opening)
    return inside.partition(marks.closing)[0] if opened else text
