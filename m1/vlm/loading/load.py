"""Loading a Hugging Face image-text-to-text model and its processor."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from m1.errors import UserError
from m1.params import ModelParams
from m1.plain_text import tell
from m1.schemas.settings import Weights
from m1.vlm.experts import compute_experts
from m1.vlm.knobs.pooling_place import find_pooling
from m1.vlm.loading.checks import (
    check_config,
    check_files,
    check_quantised,
    check_stored,
    check_weights,
    why_not_loaded,
)
from m1.vlm.loading.fingerprint import processor_fingerprint
from m1.vlm.loading.memory_check import check_memory
from m1.vlm.loading.random_weights import random_model
from m1.vlm.loading.source import check_source, commit_of, config_of, hub_options, processor_of
from m1.vlm.loading.stage_check import check_stages
from m1.vlm.loading.watched import check_watched
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.compiled import CompiledRuntime
from m1.vlm.runtime.cuda_graph import record
from m1.vlm.runtime.eager import EagerRuntime
from m1.vlm.structure import VlmStructure, find_structure


def load_vlm(params: ModelParams) -> LoadedVlm:
    """Load a model for inference.

    Raises:
        UserError: if it cannot be loaded, or the device does not exist.
    """
    torch.set_num_threads(params.n_threads or os.cpu_count() or 1)
    device = find_device(params.device)
    check_watched(params)
    with loading(params):
        params, config = described(params)
        check_memory(params, config, device)
        tell(f"loading {params.source} onto {device}")
        model = _model(params, config, device)
        vlm = ready(model, processor_of(params, model), device, params.weights)
    check_experts(params, vlm.structure)
    vlm = replace(vlm, revision=params.revision)
    return replace(vlm, runtime=_compiled(params, vlm)) if params.runtime == "compiled" else vlm


@contextmanager
def loading(params: ModelParams) -> Iterator[None]:
    """Turn errors of libraries inside the block, which reads a model, into an error of one line."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    check_source(params)
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries and a model's own code raise almost anything
        reason = why_not_loaded(params.source, error)
        raise UserError(f"model.source = {params.source}: cannot be loaded ({reason})") from None


def described(params: ModelParams) -> tuple[ModelParams, PreTrainedConfig]:
    """The configuration of a model that can be measured, and parameters that name its commit.

    Raises:
        UserError: if its files or its configuration show that it cannot be measured.
    """
    params = params.model_copy(update={"revision": commit_of(params)})
    check_files(params.source, params.revision)
    config = config_of(params)
    check_config(params.source, config, params.weights)
    return params, config


def check_experts(params: ModelParams, structure: VlmStructure) -> None:
    """Choose how experts are computed, as the parameters say.

    Raises:
        UserError: if the runtime or the model does not support it.
    """
    compute_experts(structure, params.experts)
    if params.runtime == "compiled" and structure.experts and params.experts == "eager":
        raise UserError(
            "model.runtime = compiled: model.experts = eager chooses experts on the host, which a "
            "graph cannot; set model.experts to grouped_mm or batched_mm"
        )


def _compiled(params: ModelParams, vlm: LoadedVlm) -> CompiledRuntime:
    recorder = record if vlm.device.type == "cuda" else None
    return CompiledRuntime(vlm.structure, autotune=params.autotune, recorder=recorder)


def ready(
    model: PreTrainedModel,
    processor: Any,  # noqa: ANN401 (of transformers, or a stand-in)
    device: torch.device,
    weights: Weights = "pretrained",
) -> LoadedVlm:
    """A model on its device, with its stages and knobs found.

    Raises:
        StructureError: if a part is missing; the message says what the model has instead.
    """
    model = model.eval().requires_grad_(False)
    vlm = LoadedVlm(
        model=model,
        processor=processor,
        structure=find_structure(model),
        device=device,
        runtime=EagerRuntime(model),
        processor_fingerprint=processor_fingerprint(processor),
        weights=weights,
    )
    structure = replace(vlm.structure, pooling=find_pooling(vlm))
    check_stages(vlm)
    return replace(vlm, structure=structure, visual_plans={})


def _model(params: ModelParams, config: PreTrainedConfig, device: torch.device) -> PreTrainedModel:
    dtype = getattr(torch, params.dtype)
    if params.weights == "random":
        return random_model(config, dtype, device, params.attention, params.trust_remote_code)
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        params.source,
        config=config,
        dtype=dtype,
        attn_implementation=params.attention,
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # `check_weights` reports them and names one
        output_loading_info=True,
        **hub_options(params),
    )
    model, info = loaded
    check_quantised(params.source, model, config)
    check_weights(params.source, model, info)
    check_stored(params.source, params.revision, config)
    on_device: PreTrainedModel = model.to(device)
    return on_device


def find_device(name: str) -> torch.device:
    """The device of a name in params.yaml.

    Raises:
        UserError: if this machine has none of that name.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"model.device = {name}: allowed are auto, cpu, cuda, cuda:<n>") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        n = torch.cuda.device_count()
        raise UserError(f"model.device = {name}: this machine has {n} CUDA devices; use auto")
    return device
