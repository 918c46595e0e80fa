"""The LLaVA family: CLIP or SigLIP before Llama, Mistral or Qwen2."""

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
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
    Qwen2Config,
    SiglipVisionConfig,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)

from families.common import Built, build_tokenizer, chat_template, finish, no_video
from families.sizes import IMAGE, LATE_SLIDING, TILES_PX, VISION, square, text_settings


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
