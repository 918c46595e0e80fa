"""A model without its weights, for quick checks of its structure, processor and knobs."""

import copy
from contextlib import suppress
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from m1.errors import UserError
from m1.params import ModelParams
from m1.vlm.encoding import blank_request
from m1.vlm.knobs.pooling_place import find_pooling_of_outline
from m1.vlm.loading.load import check_experts, described, find_device, load_vlm, loading
from m1.vlm.loading.memory_check import check_memory, memory_bytes
from m1.vlm.loading.random_weights import random_model
from m1.vlm.loading.source import hub_options, processor_of
from m1.vlm.loading.stand_in import StandInProcessor
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.eager import EagerRuntime
from m1.vlm.structure import VlmStructure, find_structure

CPU, NOWHERE = torch.device("cpu"), torch.device("meta")


def outline(params: ModelParams) -> LoadedVlm:
    """A model that has stages and knobs and can encode requests, but cannot answer them.

    Only configuration and processor of a hub model are fetched. If a model's code cannot be built
    without memory, the whole model is loaded.

    Raises:
        UserError: if the model cannot be measured and this is visible without its weights.
    """
    with loading(params):
        named, config = described(params)
        try:
            model = _without_weights(named, config)
        except Exception:  # a model's own code raises almost anything; loading reports the cause
            return load_vlm(params.model_copy(update={"device": "cpu"}))
        vlm = _outlined(named, model)
    check_experts(params, vlm.structure)
    return vlm


def check_size(params: ModelParams) -> None:
    """Check that the model fits into the memory of the device.

    Raises:
        UserError: if it does not, if there is no such device, or if the model cannot be measured.
    """
    device = find_device(params.device)
    with loading(params):
        check_memory(*described(params), device)


def _without_weights(params: ModelParams, config: PreTrainedConfig) -> PreTrainedModel:
    """The architecture without weights; in 32 bits, since a CPU is slow with fewer."""
    # The library chooses the attention, since code for a GPU may be missing here.
    model = random_model(
        copy.deepcopy(config), torch.float32, NOWHERE, None, params.trust_remote_code
    )
    with suppress(OSError):  # most models have one, which says what ends an answer
        model.generation_config = GenerationConfig.from_pretrained(
            params.source, **hub_options(params)
        )
    model.eval().requires_grad_(False)
    return model


def _outlined(params: ModelParams, model: PreTrainedModel) -> LoadedVlm:
    structure = find_structure(model)
    vlm = LoadedVlm(
        model=model,
        processor=processor_of(params, model),
        structure=structure,
        device=CPU,
        runtime=EagerRuntime(model),
        processor_fingerprint="",
        weights=params.weights,
    )
    fill = partial(_fill_before_blocks, params, structure)
    if isinstance(vlm.processor, StandInProcessor):
        # It asks the model itself how many tokens an image has, which may take values.
        try:
            blank_request(vlm)
        except UserError:
            fill()
    pooling = find_pooling_of_outline(vlm, fill)
    return replace(vlm, structure=replace(structure, pooling=pooling), visual_plans={})


def _fill_before_blocks(params: ModelParams, structure: VlmStructure) -> None:
    """Set the weights of all modules before the decoder blocks to zero.

    The place where visual tokens can be pooled depends on their numbers, not on their values.

    Raises:
        UserError: if there is not enough memory for these weights.
    """
    blocks = {module for block in structure.blocks for module in block.modules()}
    head = structure.model.get_output_embeddings()
    before = [m for m in structure.model.modules() if m not in blocks and m is not head]
    if sum(map(_n_bytes, before)) > memory_bytes() / 2:
        raise UserError(
            f"model.source = {params.source}: too large to see where its visual tokens can be "
            "pooled; check config.json and model.config"
        )
    for module in before:
        module._apply(_zeros, recurse=False)


def _n_bytes(module: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters(recurse=False))


def _zeros(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, device=CPU) if tensor.is_meta else tensor
