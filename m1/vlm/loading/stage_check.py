"""Check that a request runs the stages that were found, and no second vision tower."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from m1.vlm.encoding import blank_request
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.eager import EagerRuntime
from m1.vlm.structure import StructureError, VlmStructure


@torch.inference_mode()
def check_stages(vlm: LoadedVlm) -> None:
    """Run an empty request and check that its stages can be separated.

    Raises:
        StructureError: if a stage does not run, or if there is a second vision tower, whose time
            would count for another stage.
    """
    structure, inputs = vlm.structure, blank_request(vlm)
    # A tower is any module whose input is an image as it comes from the processor.
    pictures = {t.numel() for t in inputs.values() if t.is_floating_point() and t.ndim > 1}
    others = dict(_others(structure))
    ran: set[nn.Module] = set()
    towers: set[nn.Module] = set()

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        ran.add(module)
        given = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        if any(one.numel() in pictures for one in given):
            towers.add(module)

    with ExitStack() as undo:
        modules = (structure.vision_tower, *structure.projectors, *structure.blocks)
        for module in (*modules, *others.values()):
            undo.callback(module.register_forward_pre_hook(note, with_kwargs=True).remove)
        EagerRuntime(vlm.model).prefill(inputs)
    _check_found(structure, ran)
    for name, module in others.items():
        if module in towers:
            raise StructureError(
                f"{type(vlm.model).__name__}: a second vision tower, {name} "
                f"({type(module).__name__}), runs beside {_name(vlm.model, structure.vision_tower)}"
                "; models with several cannot be measured"
            )


def _check_found(structure: VlmStructure, ran: set[nn.Module]) -> None:
    idle = [i for i, block in enumerate(structure.blocks) if block not in ran]
    what = None
    if structure.vision_tower not in ran:
        what = f"the vision tower ({_name(structure.model, structure.vision_tower)})"
    elif ran.isdisjoint(structure.projectors):
        what = f"the projector ({_name(structure.model, structure.projectors[0])})"
    elif idle:
        what = f"decoder block {idle[0]}"
    if what:
        raise StructureError(
            f"{type(structure.model).__name__}: {what} does not run on a request with an image, so "
            "the stages that were found are not the model's"
        )


def _others(structure: VlmStructure) -> Iterator[tuple[str, nn.Module]]:
    """Outermost modules besides the stages that may be towers: models, or modules with blocks.

    An adapter of a few matrices beside the projector is too small for a tower.
    """
    model = structure.model
    stages = (structure.vision_tower, *structure.projectors, structure.language_model)
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    known = {one for stage in (*stages, *ends) if stage is not None for one in stage.modules()}

    def walk(module: nn.Module, place: str) -> Iterator[tuple[str, nn.Module]]:
        inside = set(module.modules())
        if module in known:
            return
        if inside.isdisjoint(known):
            if any(isinstance(one, nn.ModuleList | PreTrainedModel) for one in inside):
                yield place, module
            return
        for name, child in module.named_children():
            yield from walk(child, f"{place}.{name}" if place else name)

    return walk(model, "")


def _name(model: nn.Module, module: nn.Module) -> str:
    names: dict[nn.Module, str] = {one: name for name, one in model.named_modules()}
    return names[module]
