"""Usual sizes of the LLaVA, Qwen-VL, Aria and InternVL families."""

from typing import Any

from transformers import (
    PreTrainedTokenizerFast,
)

from families.common import ends

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
