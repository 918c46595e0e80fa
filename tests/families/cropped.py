"""Families with a fixed grid of visual tokens in each tile, the language models of others."""

from typing import Any

from transformers import models as hf
from transformers.utils import is_torchvision_available

from families.common import Built, build_tokenizer, chat_template, ends
from families.parts import TEXT, VISION, assembled
from families.plain import plain_processor

COHERE: dict[str, Any] = {
    "model_type": "cohere2",
    "head_dim": 16,
    "sliding_window": 8,
    "layer_types": 2 * (2 * ["sliding_attention"] + ["full_attention"]),
}
CROP = {"height": 48, "width": 48}


def aya_vision() -> Built:
    image = ["<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "TILE_GLOBAL"]
    tokenizer = build_tokenizer("<image>", *image, *(f"TILE_{n}" for n in range(1, 13)))
    processor = hf.aya_vision.AyaVisionProcessor(
        hf.got_ocr2.GotOcr2ImageProcessor(size=CROP),
        tokenizer,
        patch_size=8,
        img_size=48,
        downsample_factor=2,
        chat_template=chat_template("<image>"),
    )
    config = hf.aya_vision.AyaVisionConfig(
        vision_config=VISION
        | {"model_type": "siglip_vision_model", "image_size": 48, "vision_use_head": False},
        text_config=TEXT | COHERE | ends(tokenizer) | {"vocab_size": len(tokenizer)},
        image_token_index=processor.image_token_id,
    )
    return assembled(config, processor)


def cohere2_vision() -> Built:
    named = {"image_token": "<|IMG_PATCH|>", "img_line_break_token": "<|IMG_LINE_BREAK|>"}
    named |= {"boi_token": "<|START_OF_IMG|>", "eoi_token": "<|END_OF_IMG|>"}
    tokenizer = build_tokenizer(**named)
    processor: Any = plain_processor("cohere2_vision", tokenizer, chat_template("<|IMG_PATCH|>"))
    if is_torchvision_available():
        processor = hf.cohere2_vision.Cohere2VisionProcessor(
            hf.cohere2_vision.Cohere2VisionImageProcessor(size=CROP, patch_size=3),
            tokenizer,
            chat_template=processor.chat_template,
        )
    config = hf.cohere2_vision.Cohere2VisionConfig(
        vision_config=VISION
        | {"model_type": "siglip_vision_model", "image_size": 48, "vision_use_head": False},
        text_config=TEXT | COHERE | ends(tokenizer) | {"vocab_size": len(tokenizer)},
        image_token_id=tokenizer.image_token_id,
        alignment_intermediate_size=64,
    )
    return assembled(config, processor)


def ovis2() -> Built:
    """Its visual tokens are mixtures of a table of visual words."""
    marks = [f"<IMG_{place}>" for place in ("START", "GRID", "COL", "ROW", "END")]
    tokenizer = build_tokenizer("<image>", "<IMG_ATOM>", *marks)
    processor = hf.ovis2.Ovis2Processor(
        hf.ovis2.Ovis2ImageProcessor(size=CROP, crop_to_patches=True),
        tokenizer,
        image_seq_length=9,
        chat_template=chat_template("<image>"),
    )
    config = hf.ovis2.Ovis2Config(
        vision_config=VISION | {"image_size": 48, "vocab_size": 64, "hidden_stride": 2},
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(marks),
        vocab_size=len(tokenizer),
        hidden_size=64,
        tie_word_embeddings=False,
    )
    return assembled(config, processor)
