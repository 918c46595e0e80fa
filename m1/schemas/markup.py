"""The marks that a model writes around its reasoning and its answer."""

from m1.schemas.base import Record


class Marks(Record):
    """The marks before and after a part of an output."""

    opening: str
    """The mark before it."""
    closing: str
    """The mark after it."""
    opened_by_prompt: bool = False
    """Whether the prompt already has the opening mark, so that outputs have only the closing
    mark."""


class Markup(Record):
    """The marks in a model's outputs, as its chat template or tokenizer defines them.

    Outputs are kept unchanged. The marks decide the part of an output that is scored.
    """

    reasoning: tuple[Marks, ...] = ()
    """Marks around reasoning, which is not part of the answer."""
    box: tuple[Marks, ...] = ()
    """Marks around the answer, if the model marks it; the outer marks first."""

    @property
    def all(self) -> tuple[Marks, ...]:
        """All marks."""
        return self.reasoning + self.box

    @property
    def told(self) -> str:
        """A line about the text that is not scored; empty if the whole output is scored."""
        parts = [f"text in {m.opening}...{m.closing} is not scored" for m in self.reasoning]
        parts += [f"only text inside {m.opening}...{m.closing} is scored" for m in self.box]
        return "; ".join(parts)
