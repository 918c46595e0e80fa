"""The Qwen-VL family: images of any size on a grid, positions in three dimensions."""

from typing import Any

from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLProcessor,
)

from families.common import Built, build_tokenizer, chat_template, finish, no_video
from families.sizes import EXPERTS, LATE_SLIDING, text_settings

QWEN_VISION: dict[str, Any] = {
    "depth": 3,
    "hidden_size": 32,
    "num_heads": 2,
    "patch_size": 8,
    "spatial_merge_size": 2,
}
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def _qwen_processor(
    model_type: str, processor_class: type[ProcessorMixin], token_px: int = 16
) -> ProcessorMixin:
    """A processor that resizes an image to between 4 and 192 visual tokens, keeping its shape."""
    tokenizer = build_tokenizer(
        "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
    )
    image_processor = Qwen2VLImageProcessor(
        patch_size=token_px // 2,
        merge_size=2,
        size={"shortest_edge": 4 * token_px**2, "longest_edge": 192 * token_px**2},
    )
    return processor_class(
        image_processor, tokenizer, no_video(model_type), chat_template=chat_template(QWEN_IMAGE)
    )


def _qwen(
    config_class: type[PreTrainedConfig],
    model_class: type[PreTrainedModel],
    processor_class: type[ProcessorMixin],
    vision: dict[str, Any],
    **text: object,
) -> Built:
    processor: Any = _qwen_processor(config_class.model_type, processor_class)
    tokenizer = processor.tokenizer
    config = config_class(
        vision_config=QWEN_VISION | vision,
        text_config=text_settings(tokenizer, **text),
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    return finish(model_class(config), processor)


def qwen2_vl() -> Built:
    """Dynamic resolution and m-rope; the last three blocks have a sliding window."""
    return _qwen(
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        {"embed_dim": 32, "mlp_ratio": 2},
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        **LATE_SLIDING,
    )


def qwen2_5_vl() -> Built:
    """As Qwen2-VL, with windowed attention in all but one layer of the vision tower."""
    return _qwen(
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        {
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "window_size": 32,
            "fullatt_block_indexes": [1],
        },
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        **LATE_SLIDING,
    )


QWEN3_VISION = {"intermediate_size": 64, "out_hidden_size": 32, "num_position_embeddings": 256}
QWEN3_ROPE = {
    "rope_type": "default",
    "rope_theta": 1e4,
    "mrope_section": [4, 2, 2],
    "mrope_interleaved": True,
}


def qwen3_vl() -> Built:
    """Interleaved m-rope, normed queries and keys, two deep-stacked vision layers."""
    return _qwen(
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        {**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
        head_dim=16,
        rope_parameters=QWEN3_ROPE,
    )


def qwen3_vl_moe() -> Built:
    """As Qwen3-VL, with three deep-stacked layers, and experts in all blocks but the first."""
    return _qwen(
        Qwen3VLMoeConfig,
        Qwen3VLMoeForConditionalGeneration,
        Qwen3VLProcessor,
        {**QWEN3_VISION, "depth": 4, "deepstack_visual_indexes": [0, 1, 2]},
        head_dim=16,
        rope_parameters=QWEN3_ROPE,
        mlp_only_layers=[0],
        **EXPERTS,
    )


def qwen3_5_moe() -> Built:
    """Two blocks of linear attention to one of full attention; routed and shared experts."""
    return _qwen(
        Qwen3_5MoeConfig,
        Qwen3_5MoeForConditionalGeneration,
        Qwen3VLProcessor,
        QWEN3_VISION,
        head_dim=32,
        layer_types=["linear_attention", "linear_attention", "full_attention"] * 2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        shared_expert_intermediate_size=32,
        rope_parameters={**QWEN3_ROPE, "mrope_section": [2, 1, 1], "partial_rotary_factor": 0.25},
        **EXPERTS,
    )
