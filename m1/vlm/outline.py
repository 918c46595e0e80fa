"""A model without its weights: its structure, processor and knobs, for checks that cost little."""

import copy
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from m1.params import ModelParams
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading import check_experts, described, find_device, load_vlm, loading
from m1.vlm.memory_check import check_memory
from m1.vlm.pooling_place import find_pooling
from m1.vlm.random_weights import random_model
from m1.vlm.runtime import EagerRuntime
from m1.vlm.source import origin_of, processor_of
from m1.vlm.structure import VlmStructure, find_structure

CPU, NOWHERE = torch.device("cpu"), torch.device("meta")


def outline(params: ModelParams) -> LoadedVlm:
    """A model that can be asked for its stages and knobs and can encode, but not answer.

    Of a hub model only configuration and processor are fetched. Where its code cannot be built
    without memory, it is loaded whole.

    Raises:
        UserError: if it cannot be measured, as far as that shows without its weights.
    """
    with loading(params):
        named, config = described(params)
        check_memory(named, config, find_device(params.device))
        try:
            model = _without_weights(named, config)
        except Exception:  # a model's own code raises almost anything; loading tells the cause
            return load_vlm(params.model_copy(update={"device": "cpu"}))
        vlm = _outlined(named, model)
    check_experts(params, vlm.structure)
    return vlm


def _without_weights(params: ModelParams, config: PreTrainedConfig) -> PreTrainedModel:
    """The architecture alone; in 32 bits, since a CPU is slow with fewer."""
    # Attention is left to the library: what a GPU needs may be missing here.
    model = random_model(
        copy.deepcopy(config), torch.float32, NOWHERE, None, params.trust_remote_code
    )
    with suppress(OSError):  # most models have one, which says what ends an answer
        model.generation_config = GenerationConfig.from_pretrained(
            params.source, **origin_of(params)
        )
    return model.eval().requires_grad_(False)


def _outlined(params: ModelParams, model: PreTrainedModel) -> LoadedVlm:
    structure = find_structure(model)
    _fill_before_blocks(structure)
    vlm = LoadedVlm(
        model=model,
        processor=processor_of(params, model),
        structure=structure,
        device=CPU,
        runtime=EagerRuntime(model),
        processor_fingerprint="",
        weights=params.weights,
    )
    pooled = replace(structure, pooling=find_pooling(vlm))
    return replace(vlm, structure=pooled, visual_plans={})


def _fill_before_blocks(structure: VlmStructure) -> None:
    """Give zeros as weights to what a prompt goes through before the decoder blocks.

    Where visual tokens can be pooled depends on how many there are on the way, not on values.
    """
    blocks = {module for block in structure.blocks for module in block.modules()}
    head = structure.model.get_output_embeddings()
    for module in structure.model.modules():
        if module not in blocks and module is not head:
            _fill(module)


def _fill(module: nn.Module) -> None:
    def zeros(tensor: Tensor) -> Tensor:
        return torch.zeros_like(tensor, device=CPU) if tensor.is_meta else tensor

    module._apply(zeros, recurse=False)
