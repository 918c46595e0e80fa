"""The text that a model writes around its answer."""

from m1.schemas.base import Record


class Marks(Record):
    """The marks before and after a part of an output."""

    opening: str
    """The opening mark."""
    closing: str
    """The closing mark."""
    opened_by_prompt: bool = False
    """Whether the prompt ends with the opening mark. Then outputs contain only the closing mark."""


class Markup(Record):
    """The marks that a model's chat template or tokenizer uses in its outputs.

    Outputs are stored unchanged. The marks decide which part of an output is scored.
    """

    reasoning: tuple[Marks, ...] = ()
    """Marks of reasoning, which is not part of the answer."""
    box: tuple[Marks, ...] = ()
    """Marks of the answer, if the model uses them; outer marks first."""

    @property
    def all(self) -> tuple[Marks, ...]:
        """All marks."""
        return self.reasoning + self.box

    @property
    def told(self) -> str:
        """The parts that are not scored, in a line; empty if the whole output is scored."""
        parts = [f"what stands in {m.opening}...{m.closing} is not scored" for m in self.reasoning]
        parts += [f"of {m.opening}...{m.closing} only what stands inside is" for m in self.box]
        return "; ".join(parts)
