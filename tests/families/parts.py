"""Usual sizes of the other families, and the last steps of building them."""

from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    ProcessorMixin,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from families.common import Built, NoVideo, ends, finish, no_video

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": 8,
}


class NoFrames(NoVideo):
    """With the settings that some processors read although they get no video."""

    num_frames = None
    fps = None
    font = ""


def no_frames(model_type: str) -> NoVideo:
    """The stand-in, which a saved processor of this family gets too."""
    no_video(model_type)
    AutoVideoProcessor.register(
        type(AutoConfig.for_model(model_type)),
        video_processor_classes={"torchvision": NoFrames},
        exist_ok=True,
    )
    return NoFrames()


def assembled(config: PreTrainedConfig, processor: ProcessorMixin, seed: int = 0) -> Built:
    """The model of a config, with weights, beside its processor.

    Where embeddings are scaled up and also read the output, a block must outweigh them, or the
    model says its last token again and again.
    """
    config.get_text_config().update(ends(processor.tokenizer))
    model, processor = finish(AutoModelForImageTextToText.from_config(config), processor, seed)
    embedding = model.get_input_embeddings()
    if hasattr(embedding, "embed_scale"):
        with torch.no_grad():
            embedding.weight.div_(2 * embedding.embed_scale)
    return model, processor
