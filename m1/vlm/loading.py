"""Loading a Hugging Face image-text-to-text model and its processor."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel
from transformers.utils import logging

from m1.errors import UserError
from m1.params import ModelParams
from m1.vlm.structure import VlmStructure, find_structure


@dataclass(frozen=True)
class LoadedVlm:
    """A model on its device, its processor, and where its stages and knobs are."""

    model: PreTrainedModel
    processor: Any
    structure: VlmStructure
    device: torch.device

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ids = self.model.generation_config.eos_token_id
        return frozenset([ids] if isinstance(ids, int) else ids or [])


def load_vlm(params: ModelParams) -> LoadedVlm:
    """Load a model for inference.

    Raises:
        UserError: if it cannot be loaded, or the device does not exist.
    """
    logging.disable_progress_bar()
    torch.set_num_threads(params.n_threads or os.cpu_count() or 1)
    device = _device(params.device)
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            params.source, dtype=getattr(torch, params.dtype), use_safetensors=True
        )
        processor = AutoProcessor.from_pretrained(params.source)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"model.source = {params.source}: cannot be loaded ({reason})") from None
    model = model.eval().requires_grad_(False).to(device)
    structure = find_structure(model)
    if structure.routers:
        language_model: Any = structure.language_model
        language_model.set_experts_implementation(params.experts)
    return LoadedVlm(model, processor, structure, device)


def model_fingerprint(model: PreTrainedModel) -> str:
    """SHA-256 over the configuration and every weight."""
    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, tensor in _tensors(model):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(model: PreTrainedModel) -> Iterable[tuple[str, torch.Tensor]]:
    return ((name, tensor.reshape(-1)) for name, tensor in sorted(model.state_dict().items()))


def _device(name: str) -> torch.device:
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
