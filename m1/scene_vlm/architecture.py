"""SceneVLM: a small LLaVA with a CLIP vision tower and an OLMoE language model.

The most similar published model is MolmoE-1B: a CLIP tower and a mixture-of-experts decoder.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    OlmoeConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from m1.schemas.base import Record
from m1.workloads.scenes import IMAGE_SIZE_PX

PAD, BOS, EOS, IMAGE, USER, ASSISTANT = (
    "<pad>", "<bos>", "<eos>", "<image>", "<user>", "<assistant>",
)  # fmt: skip
SPECIAL_TOKENS = (PAD, BOS, EOS, IMAGE, USER, ASSISTANT)
CHAT_TEMPLATE = (
    "<bos>{% for message in messages %}"
    "{{ '<' + message['role'] + '>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}<eos>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


# Bounds far above any useful size: this model is meant to fit on a laptop.
Width = Annotated[int, Field(ge=1, le=16_384)]
Count = Annotated[int, Field(ge=1, le=1024)]


class Architecture(Record):
    """The sizes of SceneVLM."""

    hidden_size: Width
    """Channels of the vision tower and of the language model."""
    patch_size_px: Annotated[int, Field(ge=1, le=IMAGE_SIZE_PX)]
    """Side of an image patch; each patch is one visual token."""
    n_vision_layers: Count
    """Layers of the vision tower."""
    n_blocks: Count
    """Decoder blocks of the language model."""
    n_heads: Count
    """Attention heads, in the vision tower and in each block."""
    n_experts: Count
    """Experts in each block."""
    top_k: Count
    """Experts per token."""
    expert_width: Width
    """Hidden width of an expert."""
    max_position: Annotated[int, Field(ge=1, le=1_000_000)]
    """Longest sequence in tokens."""


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer (Sennrich et al. 2016) that can encode any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast, patch_size_px: int) -> LlavaProcessor:
    """The LLaVA processor with the PIL backend, which does not need torchvision."""
    size = {"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size),
        tokenizer=tokenizer,
        patch_size=patch_size_px,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    sizes: Architecture, tokenizer: PreTrainedTokenizerFast
) -> LlavaForConditionalGeneration:
    """SceneVLM with fresh weights; routing weights are not normalised, as in OLMoE."""
    ids: dict[str, Any] = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    ends = {"pad_token_id": ids[PAD], "bos_token_id": ids[BOS], "eos_token_id": ids[EOS]}
    vision = CLIPVisionConfig(
        hidden_size=sizes.hidden_size,
        intermediate_size=4 * sizes.hidden_size,
        num_hidden_layers=sizes.n_vision_layers,
        num_attention_heads=sizes.n_heads,
        image_size=IMAGE_SIZE_PX,
        patch_size=sizes.patch_size_px,
    )
    text = OlmoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.expert_width,
        num_hidden_layers=sizes.n_blocks,
        num_attention_heads=sizes.n_heads,
        num_key_value_heads=sizes.n_heads,
        num_experts=sizes.n_experts,
        num_experts_per_tok=sizes.top_k,
        max_position_embeddings=sizes.max_position,
        **ends,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=ids[IMAGE],
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(IMAGE_SIZE_PX // sizes.patch_size_px) ** 2,
    )
    for name, value in ends.items():
        setattr(config, name, value)
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig.from_model_config(config)
    return model


def save_model(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path
) -> None:
    """Save weights in half precision with everything that `from_pretrained` needs."""
    state = {name: tensor.to(torch.float16) for name, tensor in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)
