"""Knobs and their settings, and the ways to run a model."""

from typing import Literal

from m1.schemas.base import FromOne, Record

Knob = Literal["vision_tokens", "top_k", "active_blocks"]
KNOBS: tuple[Knob, ...] = ("vision_tokens", "top_k", "active_blocks")

DecodeMode = Literal["free", "reference_length"]
DecodeModeChoice = Literal["free", "reference_length", "both"]
Weights = Literal["pretrained", "random"]
RuntimeName = Literal["eager", "compiled"]
PromptTemplate = Literal["processor", "tokenizer", "none"]
"""Source of the chat template around a prompt. `none`: only the image and the prompt are used."""
GraphedModule = Literal["vision_tower", "language_model"]
"""Modules that process a prompt, and that the compiled runtime records."""
GraphExtent = Literal["whole", "blocks", "none"]
"""How much of a module is recorded: all of it as one graph, some of its blocks, or nothing."""
EndTokenSource = Literal["generation_config", "tokenizer", "config"]


class EndTokens(Record):
    """The tokens that end an answer."""

    ids: tuple[int, ...]
    """Ids of the tokens; empty if they are not known."""
    source: EndTokenSource | None
    """Source of the ids: `generation_config`, which `generate` also uses. If it has none, the
    tokenizer or the model's configuration. Null if none of them has ids."""


class Setting(Record):
    """One value for each knob. `None` leaves the model as it is, such as for a missing knob."""

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


NATIVE = Setting()
"""The setting that leaves the model as it is."""


def decode_passes(choice: DecodeModeChoice) -> tuple[DecodeMode, ...]:
    """The modes in which E1 and E2 are measured. All other results use the first mode."""
    return ("free", "reference_length") if choice == "both" else (choice,)
