"""Find the stages and knobs of a Hugging Face vision-language model.

They are found by names that many model families share, never by a list of models.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel

from m1.errors import UserError
from m1.vlm.block_policies import BlockPolicy, evenly_spaced

VISION_TOWERS = ("vision_tower", "visual", "vision_model", "vision_encoder")
PROJECTORS = (
    "multi_modal_projector",
    "connector",
    "mm_projector",
    "resampler_model",
    "merger",
    "deepstack_merger_list",
    "embed_vision",
    "visual_embeddings_table",
    "vision_projection",
    "projector",
    "aligner",
)
LANGUAGE_MODELS = ("language_model", "text_model")
BLOCKS = ("layers",)
EXPERTS = ("experts",)
TOP_K = ("top_k", "num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts")

KnobState = tuple[tuple[bool, ...], tuple[int, ...]]
"""Whether each block is active, and every copy of the number of experts per token."""
Pooling = Literal["before_projector", "at_merge", "none"]


class StructureError(UserError):
    """A stage or knob is not at the usual place in the model."""


@dataclass(frozen=True)
class TopKHolder:
    """An object that keeps the number of experts per token."""

    owner: Any
    """A module or a configuration."""
    name: str
    """The attribute."""

    @property
    def value(self) -> int:
        """The current number of experts per token."""
        return int(getattr(self.owner, self.name))

    def set(self, top_k: int) -> None:
        """Choose another number."""
        setattr(self.owner, self.name, top_k)


@dataclass
class BatchSize:
    """The number of requests in the current batch. It changes from batch to batch."""

    n: int = 1


@dataclass(frozen=True)
class VlmStructure:
    """The modules of one model that stages and knobs refer to."""

    model: PreTrainedModel
    """The whole model."""
    vision_tower: nn.Module
    """Turns pixels into visual features."""
    projectors: tuple[nn.Module, ...]
    """Bring visual features to the language model's width; some are inside the tower."""
    language_model: nn.Module
    """The decoder."""
    block_list: nn.ModuleList
    """The list in which the language model looks up its blocks."""
    blocks: tuple[nn.Module, ...]
    """The model's own decoder blocks, even if others replace them in `block_list`."""
    routers: tuple[nn.Module, ...]
    """Modules that choose experts; empty in a dense model."""
    experts: tuple[nn.Module, ...]
    """Modules that compute the chosen experts."""
    top_k_holders: tuple[TopKHolder, ...]
    """Every copy of the number of experts per token."""
    pooling: Pooling = "before_projector"
    """Where visual tokens can be averaged into fewer."""
    block_policy: BlockPolicy = field(default=evenly_spaced)
    """Chooses the active blocks."""
    batch: BatchSize = field(default_factory=BatchSize)
    """The current batch. Pooling needs its size to separate the images."""

    stand_ins: dict[int, nn.Module] = field(default_factory=dict)
    """The replacement of each skipped block, by index; kept, since compiled code refers to it."""

    @property
    def state(self) -> KnobState:
        """The current active blocks and number of experts."""
        active = tuple(b is own for b, own in zip(self.block_list, self.blocks, strict=True))
        return active, tuple(holder.value for holder in self.top_k_holders)

    @property
    def image_token_id(self) -> int:
        """Id of the placeholder of a visual token in the prompt."""
        return int(self.model.config.image_token_id)

    @property
    def required_blocks(self) -> frozenset[int]:
        """Blocks that always stay: the first, the last, and those whose keys later ones reuse."""
        shared = (i for i, block in enumerate(self.blocks) if _lends_keys(block))
        return frozenset({0, len(self.blocks) - 1, *shared})

    def blocks_that_stay(self, n_active: int) -> tuple[int, ...]:
        """Indices of the active blocks, for a number of active blocks.

        Raises:
            KnobError: if that number is not possible.
        """
        return self.block_policy(len(self.blocks), n_active, self.required_blocks)


def inner_model(model: Any) -> Any:  # noqa: ANN401 (of transformers)
    """The model without its head. It owns the positions and the vision path, in most families."""
    return getattr(model, "model", model)


def find_structure(model: PreTrainedModel) -> VlmStructure:
    """Find the stages and knobs of a model.

    Raises:
        StructureError: if a part is missing; the message says what the model has instead.
    """
    vision_tower = _find(model, VISION_TOWERS, "a vision tower")
    language_model = _find(model, LANGUAGE_MODELS, "a language model")
    blocks = _find(language_model, BLOCKS, "decoder blocks")
    if not isinstance(blocks, nn.ModuleList):
        raise StructureError(f"the decoder blocks are a {type(blocks).__name__}, not a ModuleList")
    if not len(blocks):
        raise StructureError("the language model has no decoder blocks; check model.config")
    projectors = tuple(_callable_modules(_all_named(model, PROJECTORS)))
    if not projectors:
        _find(model, PROJECTORS, "a projector")
    if not hasattr(model.config, "image_token_id"):
        raise StructureError(f"{type(model).__name__}: its configuration has no image_token_id")
    holders = tuple(_top_k_holders(blocks, language_model))
    if any(holder.value < 1 for holder in holders):
        raise StructureError(
            f"{type(model).__name__}: by its configuration no expert is chosen (top_k 0); check "
            "config.json and model.config"
        )
    return VlmStructure(
        model=model,
        vision_tower=vision_tower,
        projectors=projectors,
        language_model=language_model,
        block_list=blocks,
        blocks=tuple(blocks),
        routers=tuple(holder.owner for holder in holders if isinstance(holder.owner, nn.Module)),
        experts=_all_named(blocks, EXPERTS),
        top_k_holders=holders,
    )


def _named(root: nn.Module, names: Iterable[str]) -> list[tuple[str, nn.Module]]:
    wanted = set(names)
    return [(n, m) for n, m in root.named_modules() if n.rpartition(".")[2] in wanted]


def _find(root: nn.Module, names: tuple[str, ...], what: str) -> nn.Module:
    """The least nested module with one of the names; of equally nested ones, the first."""
    matches = _named(root, names)
    if not matches:
        present = ", ".join(name for name, _ in root.named_children())
        raise StructureError(
            f"{what} was not found in {type(root).__name__}: looked for {', '.join(names)}; "
            f"its parts are {present}"
        )
    return min(matches, key=lambda pair: pair[0].count("."))[1]


def _all_named(root: nn.Module, names: tuple[str, ...]) -> tuple[nn.Module, ...]:
    """Every outermost module with one of the names."""
    matches = _named(root, names)
    inside = {name for name, _ in matches}
    return tuple(m for n, m in matches if not any(n.startswith(f"{other}.") for other in inside))


def _callable_modules(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The modules. A list of modules is replaced by its members."""
    for module in modules:
        yield from module if isinstance(module, nn.ModuleList) else [module]


def _top_k_holders(blocks: nn.ModuleList, language_model: nn.Module) -> Iterator[TopKHolder]:
    """Modules of the blocks first, then the configuration; empty in a dense model."""
    if not _named(blocks, EXPERTS) and not any(hasattr(m, "top_k") for m in blocks.modules()):
        return
    for owner in (*blocks.modules(), getattr(language_model, "config", None)):
        for name in TOP_K:
            if isinstance(getattr(owner, name, None), int):
                yield TopKHolder(owner, name)


def _lends_keys(block: nn.Module) -> bool:
    return any(getattr(module, "store_full_length_kv", False) for module in block.modules())
