"""Loading a Hugging Face image-text-to-text model and its processor."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import CONFIG_NAME, logging
from transformers.utils.hub import cached_file, extract_commit_hash

from m1.errors import UserError
from m1.params import ModelParams
from m1.plain_text import tell
from m1.reading import is_folder, shown
from m1.schemas.settings import Weights
from m1.vlm.compiled import CompiledRuntime
from m1.vlm.experts import compute_experts
from m1.vlm.fingerprint import processor_fingerprint
from m1.vlm.graphs import record
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading_checks import (
    check_config,
    check_files,
    check_quantised,
    check_stored,
    check_weights,
)
from m1.vlm.memory_check import check_memory
from m1.vlm.pooling_place import find_pooling
from m1.vlm.random_weights import random_model
from m1.vlm.runtime import EagerRuntime
from m1.vlm.stage_check import check_stages
from m1.vlm.stand_in import StandInProcessor
from m1.vlm.structure import find_structure
from m1.vlm.watched import check_watched

# What transformers raises where a processor is missing or broken.
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)


def load_vlm(params: ModelParams) -> LoadedVlm:
    """Load a model for inference.

    Raises:
        UserError: if it cannot be loaded, or the device does not exist.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(params.n_threads or os.cpu_count() or 1)
    device = find_device(params.device)
    check_watched(params)
    _check_source(params)
    try:
        params = params.model_copy(update={"revision": _commit(params)})
        check_files(params.source, params.revision)
        config = _config(params)
        check_config(params.source, config, params.weights)
        check_memory(params, config, device)
        tell(f"loading {params.source} onto {device}")
        model = _model(params, config, device)
        vlm = ready(model, _processor(params, model), device, params.weights)
    except UserError:
        raise
    except Exception as error:  # libraries and a model's own code raise almost anything
        reason = _reason(error)
        raise UserError(f"model.source = {params.source}: cannot be loaded ({reason})") from None
    compute_experts(vlm.structure, params.experts)
    vlm = replace(vlm, revision=params.revision)
    return replace(vlm, runtime=_compiled(params, vlm)) if params.runtime == "compiled" else vlm


def _reason(error: Exception) -> str:
    """The first line of an error, and the next where that only announces it."""
    first, *rest = str(error).strip().split("\n")
    if isinstance(error, KeyError) or not first:
        return f"{type(error).__name__}: {first}".rstrip(": ")
    return f"{first} {rest[0].strip()}" if first.endswith(":") and rest else first


def _compiled(params: ModelParams, vlm: LoadedVlm) -> CompiledRuntime:
    if vlm.structure.experts and params.experts == "eager":
        raise UserError(
            "model.runtime = compiled: model.experts = eager chooses experts on the host, which a "
            "graph cannot; set model.experts to grouped_mm or batched_mm"
        )
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
        StructureError: naming what was looked for and what the model has instead.
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


def _check_source(params: ModelParams) -> None:
    """Whether a source that can only be a folder is one, and has what is asked of it."""
    folder = Path(params.source)
    if not is_folder(folder):
        if params.source.startswith((".", "/", "~")) or params.source.count("/") != 1:
            raise UserError(f"model.source = {shown(params.source)}: no such folder, and no hub id")
        return
    if params.revision is not None:
        raise UserError(f"model.revision = {params.revision}: a folder has none; set it to null")
    if params.weights == "pretrained" and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"model.source = {params.source}: no *.safetensors in it; save the model with "
            "safetensors, or set model.weights to random for its latency alone"
        )


def _commit(params: ModelParams) -> str | None:
    """The commit on the hub that a branch or tag stands for now, so that all files are of one."""
    if is_folder(Path(params.source)):
        return None
    return extract_commit_hash(
        cached_file(params.source, CONFIG_NAME, revision=params.revision), None
    )


def _config(params: ModelParams) -> PreTrainedConfig:
    config: PreTrainedConfig = AutoConfig.from_pretrained(params.source, **_origin(params))
    override(config, params.config)
    return config


def override(config: PreTrainedConfig, changes: Mapping[str, Any], place: str = "") -> None:
    """Change entries of a configuration and its parts.

    Raises:
        UserError: naming an entry that the configuration does not have.
    """
    for name, value in changes.items():
        if not hasattr(config, name):
            raise UserError(
                f"model.config.{place}{name}: {type(config).__name__} has no such entry"
            )
        part = getattr(config, name)
        if isinstance(part, PreTrainedConfig) and isinstance(value, Mapping):
            override(part, value, f"{place}{name}.")
        else:
            setattr(config, name, value)


def _origin(params: ModelParams) -> dict[str, Any]:
    return {"revision": params.revision, "trust_remote_code": params.trust_remote_code}


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
        ignore_mismatched_sizes=True,  # told by `check_weights`, which names one
        output_loading_info=True,
        **_origin(params),
    )
    model, info = loaded
    check_quantised(params.source, model, config)
    check_weights(params.source, model, info)
    check_stored(params.source, params.revision, config)
    on_device: PreTrainedModel = model.to(device)
    return on_device


def _processor(params: ModelParams, model: PreTrainedModel) -> Any:  # noqa: ANN401
    """The model's own processor; for random weights, a stand-in where it has none."""
    try:
        processor = AutoProcessor.from_pretrained(params.source, **_origin(params))
        # Without a tokenizer, transformers may return the image processor alone.
        if hasattr(processor, "tokenizer"):
            return processor
        reason: Exception = OSError("it has no tokenizer")
    except LOADING_ERRORS as error:
        reason = error
    if params.weights != "random":
        raise reason
    return StandInProcessor(model, _image_processor(params))


def _image_processor(params: ModelParams) -> Any:  # noqa: ANN401 (of transformers)
    """The image processor that lies beside a configuration, if there is one."""
    try:
        return AutoImageProcessor.from_pretrained(params.source, **_origin(params))
    except LOADING_ERRORS:
        return None


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
