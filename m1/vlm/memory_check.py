"""Whether a model fits into memory, seen before any of it is there."""

import copy
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedConfig

from m1.errors import UserError
from m1.params import ModelParams
from m1.vlm.random_weights import random_model

BYTES_PER_GB = 1024**3
# Of a container, which may have less than the machine.
CONTAINER = Path("/sys/fs/cgroup/memory.max")


def check_memory(params: ModelParams, config: PreTrainedConfig, device: torch.device) -> None:
    """Whether this machine can hold a model, which the system would kill the process over.

    Weights that are read go through the memory of the host, whatever the device. What is quantised
    takes less than its configuration says, and is not judged.

    Raises:
        UserError: with the size of the model and of the memory.
    """
    quantised = any(
        getattr(part, "quantization_config", None)
        for part in (config, config.get_text_config(decoder=True))
    )
    if quantised or (params.weights == "random" and device.type != "cpu"):
        return
    needed, there = _bytes_of(params, config), memory_bytes()
    if needed > there:
        raise UserError(
            f"model.source = {params.source}: by its configuration its weights take "
            f"{needed / BYTES_PER_GB:.1f} GB in {params.dtype}, and this machine has "
            f"{there / BYTES_PER_GB:.1f} GB of memory: check config.json and model.config, set "
            "model.dtype to bfloat16, or take a larger machine"
        )


def memory_bytes() -> int:
    """Memory of this machine, or of the container, that on a disk included."""
    there = psutil.virtual_memory().total + psutil.swap_memory().total
    try:
        return min(there, int(CONTAINER.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is none, or "max"
        return there


def _bytes_of(params: ModelParams, config: PreTrainedConfig) -> int:
    """Bytes of a model's weights, built without memory for them; shared ones count once."""
    dtype, nowhere = getattr(torch, params.dtype), torch.device("meta")
    model = random_model(
        copy.deepcopy(config), dtype, nowhere, params.attention, params.trust_remote_code
    )
    return sum(one.numel() * one.element_size() for one in model.parameters())
