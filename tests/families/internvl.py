"""The Aria and InternVL families: a resampler, and tiles."""

from transformers import (
    AriaConfig,
    AriaForConditionalGeneration,
    AriaImageProcessor,
    AriaProcessor,
    AriaTextConfig,
    GotOcr2ImageProcessor,
    Idefics3VisionConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3MoeConfig,
)

from families.common import Built, build_tokenizer, chat_template, finish, no_video
from families.sizes import EXPERTS, LATE_SLIDING, VISION, square, text_settings


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
