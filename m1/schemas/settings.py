"""Knobs and their settings, and the ways in which a model is run."""

from typing import Literal

from m1.schemas.base import Record
from m1.schemas.quantities import FromOne

Knob = Literal["vision_tokens", "top_k", "active_blocks"]
KNOBS: tuple[Knob, ...] = ("vision_tokens", "top_k", "active_blocks")

DecodeMode = Literal["free", "reference_length"]
DecodeModeChoice = Literal["free", "reference_length", "both"]
Weights = Literal["pretrained", "random"]
RuntimeName = Literal["eager", "compiled"]
PromptTemplate = Literal["processor", "tokenizer", "none"]
"""Owner of the chat template around a prompt; `none`: only the image and the prompt."""
GraphedModule = Literal["vision_tower", "language_model"]
"""The modules of a prompt that the compiled runtime records."""
GraphExtent = Literal["whole", "blocks", "none"]
"""How much of a module is recorded: the whole module as one graph, its blocks, or nothing."""
EndTokenSource = Literal["generation_config", "tokenizer", "config"]


class EndTokens(Record):
    """The tokens that end an answer."""

    ids: tuple[int, ...]
    """Ids of these tokens; empty if they are unknown."""
    source: EndTokenSource | None
    """Where the ids come from: `generation_config`, as `generate` uses them; or, if it has none,
    the tokenizer or the model's configuration. Null if they are unknown."""


class Setting(Record):
    """One value for each knob; `None` leaves the model unchanged, or it lacks the knob."""

    vision_tokens: FromOne | None = None
    """Number of visual tokens that the language model receives."""
    top_k: FromOne | None = None
    """Experts per token in each mixture-of-experts layer."""
    active_blocks: FromOne | None = None
    """Decoder blocks executed."""

    @property
    def label(self) -> str:
        """Short name for charts, such as "144/4/8" (visual tokens / top_k / blocks)."""
        values = (self.vision_tokens, self.top_k, self.active_blocks)
        return "/".join("-" if value is None else str(value) for value in values)


def decode_passes(choice: DecodeModeChoice) -> tuple[DecodeMode, ...]:
    """The modes in which E1 and E2 are measured. All other results use the first one."""
    return ("free", "reference_length") if choice == "both" else (choice,)
