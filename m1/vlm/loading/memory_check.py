"""Check that a model fits into memory, before any of it is loaded."""

import copy
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedConfig

from m1.errors import UserError
from m1.params import ModelParams
from m1.vlm.loading.random_weights import random_model

BYTES_PER_GB = 1024**3
# The memory limit of a container, which may have less memory than the machine.
CONTAINER = Path("/sys/fs/cgroup/memory.max")


def check_memory(params: ModelParams, config: PreTrainedConfig, device: torch.device) -> None:
    """Check that a model fits into a device's memory. On a CPU the system would kill the process.

    For a GPU the weights are mapped from their files, so the host's memory does not matter. A
    quantised model is not checked, since it takes less than its configuration says. A model whose
    code cannot be built without memory is not checked either.

    Raises:
        UserError: if it does not fit; the message has the sizes of the model and of the memory.
    """
    quantised = any(
        getattr(part, "quantization_config", None)
        for part in (config, config.get_text_config(decoder=True))
    )
    needed = None if quantised else _bytes_of(params, config)
    there = memory_bytes() if device.type == "cpu" else gpu_bytes(device)
    if needed is not None and needed > there:
        narrower = ", set model.dtype to bfloat16" if params.dtype == "float32" else ""
        raise UserError(
            f"model.source = {params.source}: by its configuration its weights take "
            f"{needed / BYTES_PER_GB:.1f} GB in {params.dtype}, and {device.type} has "
            f"{there / BYTES_PER_GB:.1f} GB of memory: check config.json and model.config"
            f"{narrower}, or take a larger device"
        )


def memory_bytes() -> int:
    """Memory of this machine or of the container, including swap."""
    there = psutil.virtual_memory().total + psutil.swap_memory().total
    try:
        return min(there, int(CONTAINER.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is none, or "max"
        return there


def gpu_bytes(device: torch.device) -> int:
    """All memory of a GPU, including memory that is in use."""
    return torch.cuda.get_device_properties(device).total_memory


def _bytes_of(params: ModelParams, config: PreTrainedConfig) -> int | None:
    """Bytes of a model's weights. The model is built without memory; shared weights count once.

    `None` if that fails: then loading reports why, or succeeds with memory.
    """
    dtype, nowhere = getattr(torch, params.dtype), torch.device("meta")
    try:
        model = random_model(
            copy.deepcopy(config), dtype, nowhere, params.attention, params.trust_remote_code
        )
    except Exception:  # a model's own code raises almost anything
        return None
    return sum(one.numel() * one.element_size() for one in model.parameters())
