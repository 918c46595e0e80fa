"""The families of Gemma: attention of several kinds, of images in both directions."""

from typing import Any

from transformers import models as hf

from families.common import Built, build_tokenizer, chat_template, no_video
from families.parts import TEXT, VISION, assembled

GEMMA_TOKENS = {
    "image_token": "<image_soft_token>",
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
}
# Less than the 16 channels of a head: random scores are near each other, and attention that is
# spread evenly over an image sees little of it.
SHARP = {"query_pre_attn_scalar": 4}
PREFIX_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def gemma3() -> Built:
    tokenizer = build_tokenizer(**GEMMA_TOKENS)
    processor = hf.gemma3.Gemma3Processor(
        hf.gemma3.Gemma3ImageProcessor(size={"height": 64, "width": 64}),
        tokenizer,
        chat_template=chat_template(tokenizer.boi_token),
        image_seq_length=16,
    )
    config = hf.gemma3.Gemma3Config(
        vision_config=VISION | {"image_size": 64, "vision_use_head": False},
        text_config=TEXT
        | SHARP
        | {"vocab_size": len(tokenizer), "head_dim": 16, "sliding_window": 8}
        | {"layer_types": 2 * (2 * ["sliding_attention"] + ["full_attention"])},
        mm_tokens_per_image=16,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    return assembled(config, processor)


def gemma4() -> Built:
    """Per-layer inputs, the last two blocks on the keys and values of earlier ones."""
    return _gemma4(hidden_size_per_layer_input=8, num_kv_shared_layers=2, use_double_wide_mlp=True)


def gemma4_moe() -> Built:
    """Experts beside the dense network, keys that are values, bidirectional image attention."""
    return _gemma4(
        hidden_size_per_layer_input=0,
        enable_moe_block=True,
        num_experts=8,
        top_k_experts=4,
        moe_intermediate_size=32,
        attention_k_eq_v=True,
        num_global_key_value_heads=1,
        use_bidirectional_attention="vision",
        final_logit_softcapping=30.0,
    )


def _gemma4(**text: Any) -> Built:
    audio = {"audio_token": "<audio>", "boa_token": "<boa>", "eoa_token": "<eoa>"}
    tokenizer = build_tokenizer(**GEMMA_TOKENS, **audio)
    sizes = {"patch_size": 4, "pooling_kernel_size": 3}
    processor = hf.gemma4.Gemma4Processor(
        hf.gemma4.Gemma4AudioFeatureExtractor(),
        hf.gemma4.Gemma4ImageProcessor(**sizes, max_soft_tokens=70),
        tokenizer,
        no_video("gemma4"),
        chat_template=chat_template(tokenizer.image_token),
        image_seq_length=70,
    )
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config = hf.gemma4.Gemma4Config(
        vision_config=VISION | heads | sizes | {"position_embedding_size": 256},
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "vocab_size_per_layer_input": len(tokenizer)}
        | {"head_dim": 16, "global_head_dim": 32, "sliding_window": 8}
        | {"layer_types": 2 * (2 * ["sliding_attention"] + ["full_attention"])}
        | text,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        video_token_id=processor.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
        boa_token_id=tokenizer.boa_token_id,
        eoa_token_index=tokenizer.eoa_token_id,
    )
    return assembled(config, processor)


def paligemma() -> Built:
    """With the language model of PaliGemma 2: sliding windows, capped scores, a prefix."""
    processor = hf.paligemma.PaliGemmaProcessor(
        hf.siglip.SiglipImageProcessor(size={"height": 48, "width": 48}, image_seq_length=36),
        build_tokenizer(image_token="<image>"),
        chat_template=PREFIX_TEMPLATE,
    )
    config = hf.paligemma.PaliGemmaConfig(
        vision_config=VISION | {"image_size": 48, "vision_use_head": False},
        text_config=TEXT
        | {"model_type": "gemma2", "vocab_size": len(processor.tokenizer), "head_dim": 16}
        | SHARP
        | {"sliding_window": 8},
        image_token_index=processor.image_token_id,
        vocab_size=len(processor.tokenizer),
        projection_dim=64,
        hidden_size=64,
    )
    return assembled(config, processor)
