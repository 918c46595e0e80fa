"""A published architecture at full size with random weights, for measuring latency."""

import torch
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

SEED = 0


def random_model(
    config: PreTrainedConfig,
    dtype: torch.dtype,
    device: torch.device,
    attention: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Build a model from its configuration. The weights are drawn on its device.

    The initialisation is the architecture's own. Latency depends on the values only through the
    choice of experts. A router at its initial values spreads tokens evenly.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(SEED)
        model: PreTrainedModel = AutoModelForImageTextToText.from_config(
            config,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=trust_remote_code,
        )
    return model
