"""The LLaVA, Qwen-VL, Aria and InternVL families."""

from typing import Any

from transformers import (
    AriaConfig,
    AriaForConditionalGeneration,
    AriaImageProcessor,
    AriaProcessor,
    AriaTextConfig,
    CLIPImageProcessor,
    CLIPVisionConfig,
    GotOcr2ImageProcessor,
    Idefics3VisionConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3MoeConfig,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLProcessor,
    SiglipVisionConfig,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)

from families.common import Builder, Built, build_tokenizer, chat_template, ends, finish, no_video

IMAGE = "<image>"
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": 8,
}
EXPERTS: dict[str, Any] = {
    "num_experts": 8,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 32,
}
LATE_SLIDING = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3}
TILES_PX = [[48, 96], [96, 48], [96, 96], [144, 48], [48, 144]]


def text_settings(tokenizer: PreTrainedTokenizerFast, **others: object) -> dict[str, Any]:
    """Sizes of the language model, with what a family adds to them."""
    return {**TEXT, "vocab_size": len(tokenizer), **ends(tokenizer), **others}


def square(side_px: int) -> dict[str, int]:
    """A square image size as image processors write it."""
    return {"height": side_px, "width": side_px}


def llava() -> Built:
    """CLIP without its last layer and class token, two matrices, Llama."""
    return _llava(LlavaConfig, LlavaForConditionalGeneration, vision_feature_layer=-2)


def vipllava() -> Built:
    """As LLaVA, with the features of several CLIP layers side by side."""
    return _llava(
        VipLlavaConfig, VipLlavaForConditionalGeneration, vision_feature_layer=[-2, -1, 1]
    )


def _llava(
    config_class: type[PreTrainedConfig], model_class: type[PreTrainedModel], **others: object
) -> Built:
    tokenizer = build_tokenizer(IMAGE)
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=square(64)),
        tokenizer,
        patch_size=VISION["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template(IMAGE),
    )
    config = config_class(
        vision_config=CLIPVisionConfig(**VISION, image_size=64),
        text_config=LlamaConfig(**text_settings(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=64,
        **others,
    )
    return finish(model_class(config), processor)


def llava_next() -> Built:
    """CLIP over the whole image and its tiles, Mistral with a sliding window."""
    tokenizer = build_tokenizer(IMAGE)
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": 48}, crop_size=square(48), image_grid_pinpoints=TILES_PX
        ),
        tokenizer,
        patch_size=VISION["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template(IMAGE),
    )
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=48),
        text_config=MistralConfig(**text_settings(tokenizer), sliding_window=24),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_grid_pinpoints=TILES_PX,
        image_seq_length=36,
    )
    return finish(LlavaNextForConditionalGeneration(config), processor)


def llava_onevision() -> Built:
    """SigLIP over up to nine tiles, pooled where they are more than four; Qwen2."""
    tokenizer = build_tokenizer(IMAGE, "<video>")
    tiles_px = [[48, 48], *TILES_PX, [96, 144], [144, 96], [144, 144]]
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=square(48), image_grid_pinpoints=tiles_px),
        tokenizer,
        no_video("llava_onevision"),
        num_image_tokens=36,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=chat_template(IMAGE),
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=48, vision_use_head=False),
        text_config=Qwen2Config(**text_settings(tokenizer), **LATE_SLIDING),
        image_token_index=processor.image_token_id,
        video_token_index=processor.video_token_id,
        image_grid_pinpoints=tiles_px,
        vision_aspect_ratio="anyres_max_4",
    )
    return finish(LlavaOnevisionForConditionalGeneration(config), processor)


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


def aria() -> Built:
    """A resampler to 16 visual tokens a tile of 490 px; routed and shared experts."""
    tokenizer = build_tokenizer(image_token="<|img|>")
    processor = AriaProcessor(
        AriaImageProcessor(max_image_size=490, min_image_size=196),
        tokenizer,
        size_conversion={490: 16, 980: 32},
        chat_template=chat_template("<|img|>"),
    )
    experts = {"moe_num_experts": 8, "moe_topk": 4, "moe_num_shared_experts": 2}
    config = AriaConfig(
        vision_config=Idefics3VisionConfig(**VISION | {"patch_size": 35}, image_size=980),
        text_config=AriaTextConfig(**text_settings(tokenizer), **experts),
        projector_patch_to_query_dict={196: 16, 784: 32},
        image_token_index=processor.image_token_id,
    )
    return finish(AriaForConditionalGeneration(config), processor)


def internvl() -> Built:
    """Up to six tiles and a thumbnail, four patches to a visual token; Qwen2."""
    return _internvl(Qwen2Config, **LATE_SLIDING)


def internvl_moe() -> Built:
    """As InternVL, with Qwen3's experts in all blocks but the first."""
    return _internvl(
        Qwen3MoeConfig, head_dim=16, mlp_only_layers=[0], norm_topk_prob=True, **EXPERTS
    )


def _internvl(text_class: type[PreTrainedConfig], **text: object) -> Built:
    context = "<IMG_CONTEXT>"
    tokenizer = build_tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token=context,
        video_token="<video>",
    )
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=square(64), crop_to_patches=True, max_patches=6),
        tokenizer,
        no_video("internvl"),
        image_seq_length=16,
        chat_template=chat_template(context),
    )
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            **VISION, image_size=64, use_qk_norm=True, layer_scale_init_value=1.0
        ),
        text_config=text_class(**text_settings(tokenizer, **text)),
        image_token_id=processor.image_token_id,
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    return finish(InternVLForConditionalGeneration(config), processor)


FIRST: dict[str, Builder] = {
    build.__name__: build
    for build in (
        llava,
        llava_next,
        llava_onevision,
        vipllava,
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl,
        qwen3_vl_moe,
        qwen3_5_moe,
        aria,
        internvl,
        internvl_moe,
    )
}
