"""A published architecture at full size without its weights, for questions of latency."""

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
    """Build a model from its configuration, the weights drawn on its device.

    The initialisation is the architecture's own. Latency does not depend on the values, but for
    which experts are chosen: a router at its initial values spreads tokens evenly.
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
