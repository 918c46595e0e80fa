"""Families that cut a large image into tiles."""

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, ProcessorMixin
from transformers import models as hf
from transformers.utils import is_torchvision_available

from families.common import Built, build_tokenizer, chat_template, no_video
from families.parts import TEXT, VISION, assembled, no_frames
from families.plain import plain_processor

TILES = {"size": {"longest_edge": 128}, "max_image_size": {"longest_edge": 32}}


def molmo2() -> Built:
    text = ["<|image|>", "<|video|>"]
    parts = ["<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<frame_start>"]
    parts += ["<im_end>", "<frame_end>", "<im_low>"]
    tokenizer = build_tokenizer(*text, *parts)
    crop = {"height": 48, "width": 48}
    processor: Any = plain_processor("molmo2", tokenizer, chat_template("<|image|>"))
    if is_torchvision_available():
        processor = hf.molmo2.Molmo2Processor(
            hf.molmo2.Molmo2ImageProcessor(size=crop, patch_size=8, overlap_margins=[1, 1]),
            no_video("molmo2"),
            tokenizer,
            chat_template=processor.chat_template,
        )
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0}
    config = hf.molmo2.Molmo2Config(
        vision_config=VISION | heads | {"image_size": [48, 48]},
        adapter_config=heads
        | {"vision_feature_layer": [2, 0], "hidden_size": 32, "intermediate_size": 64}
        | {"text_hidden_size": 64},
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "additional_vocab_size": 8}
        | {"head_dim": 16, "rope_scaling_layers": [2, 5]}
        | {"rope_parameters": yarn | {"original_max_position_embeddings": 256}},
        image_patch_id=tokenizer.convert_tokens_to_ids("<im_patch>"),
        image_start_token_id=tokenizer.convert_tokens_to_ids("<im_start>"),
        low_res_image_start_token_id=tokenizer.convert_tokens_to_ids("<low_res_im_start>"),
        image_end_token_id=tokenizer.convert_tokens_to_ids("<im_end>"),
        frame_start_token_id=tokenizer.convert_tokens_to_ids("<frame_start>"),
        frame_end_token_id=tokenizer.convert_tokens_to_ids("<frame_end>"),
    )
    return assembled(config, processor)


def idefics3() -> Built:
    tokenizer = _tokenizer_of_tiles()
    processor = hf.idefics3.Idefics3Processor(
        hf.idefics3.Idefics3ImageProcessor(**TILES),
        tokenizer,
        image_seq_len=4,
        chat_template=chat_template("<image>"),
    )
    return _of_tiles(hf.idefics3.Idefics3Config, processor)


def smolvlm() -> Built:
    tokenizer = _tokenizer_of_tiles()
    processor = hf.smolvlm.SmolVLMProcessor(
        hf.smolvlm.SmolVLMImageProcessor(**TILES),
        tokenizer,
        no_frames("smolvlm"),
        image_seq_len=4,
        chat_template=chat_template("<image>"),
    )
    return _of_tiles(hf.smolvlm.SmolVLMConfig, processor)


def _tokenizer_of_tiles() -> PreTrainedTokenizerFast:
    places = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    marks = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    return build_tokenizer(*marks, "<video>", *places)


def _of_tiles(config_class: type[PreTrainedConfig], processor: ProcessorMixin) -> Built:
    config = config_class(
        vision_config=VISION | {"image_size": 32},
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(processor.tokenizer)},
        scale_factor=2,
        image_token_id=processor.image_token_id,
    )
    return assembled(config, processor)


def llama4() -> Built:
    marks = ["<|image_start|>", "<|image_end|>", "<|image|>"]
    marks += ["<|tile_x_separator|>", "<|tile_y_separator|>"]
    tokenizer = build_tokenizer(*marks, "<|patch|>")
    processor: Any = plain_processor("llama4", tokenizer, chat_template("<|image|>"))
    if is_torchvision_available():
        processor = hf.llama4.Llama4Processor(
            hf.llama4.Llama4ImageProcessor(size={"height": 48, "width": 48}),
            tokenizer,
            patch_size=8,
            chat_template=processor.chat_template,
        )
    config = hf.llama4.Llama4Config(
        vision_config=VISION
        | {"image_size": 48, "intermediate_size": 128, "vision_output_dim": 64}
        | {"projector_input_dim": 64, "projector_output_dim": 64},
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "head_dim": 16, "intermediate_size_mlp": 96}
        | {"num_local_experts": 8, "num_experts_per_tok": 2, "interleave_moe_layer_step": 2}
        | {"no_rope_layer_interval": 3, "attention_chunk_size": 16}
        | {"floor_scale": 8, "attn_scale": 0.5},
        boi_token_index=tokenizer.convert_tokens_to_ids("<|image_start|>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<|image_end|>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<|patch|>"),
    )
    return assembled(config, processor)


def lfm2_vl() -> Built:
    named = {"image_token": "<image>", "image_start_token": "<|image_start|>"}
    named |= {"image_end_token": "<|image_end|>", "image_thumbnail_token": "<|img_thumbnail|>"}
    places = [f"<|img_row_{row}_col_{col}|>" for row in range(1, 11) for col in range(1, 11)]
    tokenizer = build_tokenizer(*places, **named)
    processor: Any = plain_processor("lfm2_vl", tokenizer, chat_template("<image>"))
    if is_torchvision_available():
        processor = hf.lfm2_vl.Lfm2VlProcessor(
            hf.lfm2_vl.Lfm2VlImageProcessor(
                encoder_patch_size=8, tile_size=48, min_image_tokens=4, max_image_tokens=16
            ),
            tokenizer,
            chat_template=processor.chat_template,
        )
    config = hf.lfm2_vl.Lfm2VlConfig(
        vision_config=VISION | {"num_patches": 36, "vision_use_head": False},
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "block_auto_adjust_ff_dim": False}
        | {"layer_types": 3 * ["conv", "full_attention"]},
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=64,
    )
    model, processor = assembled(config, processor)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Three factors meet in its convolutions, which would drown what attention adds.
            if name.endswith("conv.in_proj.weight"):
                parameter.div_(4)
            if name.endswith("q_layernorm.weight"):
                parameter.mul_(3)
    return model, processor
