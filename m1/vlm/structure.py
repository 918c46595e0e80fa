"""Where a Hugging Face vision-language model keeps its stages and knobs.

Found by the names that its families share, never by a list of models.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from m1.errors import UserError

VISION_TOWERS = ("vision_tower", "visual", "vision_model")
PROJECTORS = (
    "multi_modal_projector",
    "connector",
    "mm_projector",
    "resampler_model",
    "merger",
    "embed_vision",
)
LANGUAGE_MODELS = ("language_model", "text_model")
BLOCKS = ("layers",)


class StructureError(UserError):
    """A stage or knob that the model does not have where such models keep it."""


@dataclass(frozen=True)
class VlmStructure:
    """The modules of one model that stages and knobs refer to."""

    model: PreTrainedModel
    vision_tower: nn.Module
    projectors: tuple[nn.Module, ...]
    language_model: nn.Module
    blocks: nn.ModuleList
    routers: tuple[nn.Module, ...]

    @property
    def image_token_id(self) -> int:
        """Id of the placeholder that each visual token takes in the prompt."""
        return int(self.model.config.image_token_id)


def find_structure(model: PreTrainedModel) -> VlmStructure:
    """Find the stages and knobs of a model.

    Raises:
        StructureError: naming what was looked for and what the model has instead.
    """
    vision_tower = _find(model, VISION_TOWERS, "a vision tower")
    language_model = _find(model, LANGUAGE_MODELS, "a language model")
    blocks = _find(language_model, BLOCKS, "decoder blocks")
    if not isinstance(blocks, nn.ModuleList):
        raise StructureError(f"the decoder blocks are a {type(blocks).__name__}, not a ModuleList")
    projectors = _all_named(model, PROJECTORS)
    if not projectors:
        _find(model, PROJECTORS, "a projector")
    return VlmStructure(
        model=model,
        vision_tower=vision_tower,
        projectors=projectors,
        language_model=language_model,
        blocks=blocks,
        routers=tuple(_routers(blocks)),
    )


def router_top_k(router: Any) -> int:  # noqa: ANN401 (a router is any module with a top_k)
    """Experts per token that a router is set to."""
    return int(router.top_k)


def _named(root: nn.Module, names: Iterable[str]) -> list[tuple[str, nn.Module]]:
    wanted = set(names)
    return [(n, m) for n, m in root.named_modules() if n.rpartition(".")[2] in wanted]


def _find(root: nn.Module, names: tuple[str, ...], what: str) -> nn.Module:
    """The shallowest module with one of the names, in the order of the names."""
    found = _named(root, names)
    if not found:
        present = ", ".join(name for name, _ in root.named_children())
        raise StructureError(
            f"{what} was not found in {type(root).__name__}: looked for {', '.join(names)}; "
            f"its parts are {present}"
        )
    return min(found, key=lambda pair: pair[0].count("."))[1]


def _all_named(root: nn.Module, names: tuple[str, ...]) -> tuple[nn.Module, ...]:
    """Every outermost module with one of the names."""
    found = _named(root, names)
    inside = {name for name, _ in found}
    return tuple(m for n, m in found if not any(n.startswith(f"{other}.") for other in inside))


def _routers(blocks: nn.ModuleList) -> Iterable[nn.Module]:
    for module in blocks.modules():
        if isinstance(getattr(module, "top_k", None), int):
            yield module
