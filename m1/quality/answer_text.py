"""The part of an output that is scored: without reasoning, out of its box."""

from m1.schemas.markup import Marks, Markup


def answer_text(output: str, markup: Markup) -> str:
    """Return what an output says once its reasoning is over.

    Empty where the output ends within the reasoning: then nothing was answered.

    Args:
        output: what the model wrote, its marks included.
        markup: the marks of the model; without any, the output is returned but for the space
            around it.
    """
    text = output
    for marks in markup.reasoning:
        text = _after(text, marks)
    for marks in markup.box:
        text = _inside(text, marks)
    return text.strip()


def _after(text: str, marks: Marks) -> str:
    """What follows the reasoning; where that has no end, what came before it."""
    _, closed, after = text.rpartition(marks.closing)
    if closed:
        return after
    return "" if marks.opened_by_prompt else text.partition(marks.opening)[0]


def _inside(text: str, marks: Marks) -> str:
    """What the last box holds; an output that was cut may not close it."""
    _, opened, inside = text.rpartition(marks.opening)
    return inside.partition(marks.closing)[0] if opened else text
