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
"""Whose chat template is put around a prompt; `none`: the image and the prompt alone."""
GraphedModule = Literal["vision_tower", "language_model"]
"""The modules of a prompt that the compiled runtime records."""
GraphExtent = Literal["whole", "blocks", "none"]
"""How much of a module is recorded: all as one graph, some of its blocks, or nothing."""
EndTokenSource = Literal["generation_config", "tokenizer", "config"]


class EndTokens(Record):
    """Which tokens end an answer."""

    ids: tuple[int, ...]
    """Their numbers; empty where nothing says which."""
    source: EndTokenSource | None
    """Who says so: `generation_config`, as `generate` takes them; or, where that has none, the
    tokenizer or the model's configuration. Null where nobody does."""


class Setting(Record):
    """One value for each knob; `None` leaves the model as it is (a knob it does not have)."""

    vision_tokens: FromOne | None = None
    """Visual tokens the language model sees."""
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
    """The modes that E1 and E2 are measured in; the first is what everything else rests on."""
    return ("free", "reference_length") if choice == "both" else (choice,)
