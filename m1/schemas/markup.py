"""What a model writes around its answer."""

from m1.schemas.base import Record


class Marks(Record):
    """What stands before and after a part of an output."""

    opening: str
    """Before it."""
    closing: str
    """After it."""
    opened_by_prompt: bool = False
    """Whether the prompt ends with the opening mark, so that outputs hold the closing one alone."""


class Markup(Record):
    """What a model's chat template or tokenizer marks in its outputs.

    Outputs are kept as they are; this says what of them is scored.
    """

    reasoning: tuple[Marks, ...] = ()
    """Around reasoning, which is no part of the answer."""
    box: tuple[Marks, ...] = ()
    """Around the answer, where the model marks it; the outer marks first."""

    @property
    def all(self) -> tuple[Marks, ...]:
        """All marks."""
        return self.reasoning + self.box

    @property
    def told(self) -> str:
        """What is not scored, in a line; empty where all of an output is."""
        parts = [f"what stands in {m.opening}...{m.closing} is not scored" for m in self.reasoning]
        parts += [f"of {m.opening}...{m.closing} only what stands inside is" for m in self.box]
        return "; ".join(parts)
