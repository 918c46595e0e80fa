"""Tiny models of families that cannot be measured."""

from typing import Any

from transformers import (
    AutoModelForImageTextToText,
    DeepseekVLHybridConfig,
    DeepseekVLHybridImageProcessor,
    DeepseekVLHybridProcessor,
    Florence2Config,
    LlamaConfig,
    PreTrainedConfig,
    SamVisionConfig,
    SiglipVisionConfig,
)

from families.common import Built, build_tokenizer, chat_template, finish
from families.sizes import VISION, text_settings


def deepseek_vl_hybrid() -> Built:
    """SigLIP and SAM side by side before Llama."""
    tokenizer = build_tokenizer(image_token="<image>")
    side, patch = 32, 8
    processor = DeepseekVLHybridProcessor(
        DeepseekVLHybridImageProcessor(
            size={"height": side, "width": side},
            min_size=8,
            high_res_size={"height": 64, "width": 64},
        ),
        tokenizer,
        num_image_tokens=(side // patch) ** 2,
        chat_template=chat_template("<image>"),
    )
    config = DeepseekVLHybridConfig(
        text_config=LlamaConfig(**text_settings(tokenizer)),
        vision_config=SiglipVisionConfig(**VISION, image_size=side, vision_use_head=False),
        high_res_vision_config=SamVisionConfig(
            hidden_size=32,
            output_channels=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=64,
            patch_size=8,
            window_size=4,
            global_attn_indexes=[1],
            mlp_dim=64,
            num_pos_feats=8,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    return finish(AutoModelForImageTextToText.from_config(config), processor)


def florence2_config() -> PreTrainedConfig:
    """DaViT before the encoder and decoder of BART."""
    sizes: dict[str, Any] = {"encoder_layers": 2, "decoder_layers": 2, "d_model": 32}
    sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 300}
    return Florence2Config(
        text_config={"model_type": "bart", **sizes},
        vision_config={
            "embed_dim": [16, 16, 16, 16],
            "depths": [1, 1, 1, 1],
            "num_heads": [2, 2, 2, 2],
            "num_groups": [2, 2, 2, 2],
            "projection_dim": 32,
        },
        image_token_id=299,
    )
