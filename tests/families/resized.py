"""Families that resize an image to a size of its own, within bounds."""

from typing import Any

from transformers import PreTrainedConfig
from transformers import models as hf
from transformers.utils import is_torchvision_available

from families.common import Built, build_tokenizer, chat_template, no_video
from families.parts import TEXT, VISION, assembled, no_frames
from families.plain import plain_processor


def mistral3() -> Built:
    tokenizer = build_tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor: Any = plain_processor("mistral3", tokenizer, chat_template("[IMG]"))
    if is_torchvision_available():
        processor = hf.pixtral.PixtralProcessor(
            hf.pixtral.PixtralImageProcessor(size={"longest_edge": 96}, patch_size=8),
            tokenizer,
            patch_size=8,
            spatial_merge_size=2,
            chat_template=processor.chat_template,
        )
    config = hf.mistral3.Mistral3Config(
        vision_config=VISION | {"model_type": "pixtral", "image_size": 256},
        text_config=TEXT
        | {"model_type": "mistral", "vocab_size": len(tokenizer), "head_dim": 16}
        | {"sliding_window": 16},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return assembled(config, processor, seed=9)


def glm4v_moe() -> Built:
    return _glm(
        hf.glm4v_moe.Glm4vMoeConfig,
        head_dim=16,
        moe_intermediate_size=32,
        n_routed_experts=8,
        num_experts_per_tok=4,
        first_k_dense_replace=2,
    )


def glm4v() -> Built:
    return _glm(hf.glm4v.Glm4vConfig)


def _glm(config_class: type[PreTrainedConfig], **text: Any) -> Built:
    around = ["<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"]
    tokenizer = build_tokenizer("<|image|>", "<|video|>", *around)
    sizes = {"patch_size": 8, "size": {"shortest_edge": 2 * 32**2, "longest_edge": 2 * 96**2}}
    processor = hf.glm4v.Glm4vProcessor(
        hf.glm4v.Glm4vImageProcessor(**sizes),
        tokenizer,
        no_video(config_class.model_type),
        chat_template=chat_template("<|begin_of_image|><|image|><|end_of_image|>"),
    )
    image, video, *ends = tokenizer.convert_tokens_to_ids(["<|image|>", "<|video|>", *around])
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    config = config_class(
        vision_config={"depth": 3, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64}
        | {"image_size": 96, "patch_size": 8, "out_hidden_size": 64},
        text_config=TEXT
        | {"vocab_size": len(tokenizer)}
        | {"rope_parameters": rope | {"partial_rotary_factor": 0.5}}
        | text,
        image_token_id=image,
        video_token_id=video,
        image_start_token_id=ends[0],
        image_end_token_id=ends[1],
        video_start_token_id=ends[2],
        video_end_token_id=ends[3],
    )
    return assembled(config, processor)


def ernie4_5_vl_moe() -> Built:
    kinds = {"image": "<|IMAGE_{}|>", "video": "<|VIDEO_{}|>"}
    ends = {"token": "PLACEHOLDER", "start_token": "START", "end_token": "END"}
    named = {f"{k}_{e}": form.format(w) for k, form in kinds.items() for e, w in ends.items()}
    tokenizer = build_tokenizer(**named)
    sizes = {"patch_size": 8, "size": {"shortest_edge": 32**2, "longest_edge": 96**2}}
    processor = hf.ernie4_5_vl_moe.Ernie4_5_VLMoeProcessor(
        hf.ernie4_5_vl_moe.Ernie4_5_VLMoeImageProcessor(**sizes),
        tokenizer,
        no_frames("ernie4_5_vl_moe"),
        chat_template=chat_template("<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"),
    )
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [3, 3, 2]}
    config = hf.ernie4_5_vl_moe.Ernie4_5_VLMoeConfig(
        vision_config={"depth": 3, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64}
        | {"patch_size": 8},
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "rope_parameters": rope}
        | {"moe_intermediate_size": [32, 16], "moe_num_experts": 8, "moe_k": 4}
        | {"moe_num_shared_experts": 1},
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(t) for name, t in named.items()},
    )
    return assembled(config, processor)
