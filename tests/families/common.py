"""What the tiny families share: tokenizer, chat template, stand-in for video, weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.processing_utils import transformers_module
from transformers.video_processing_utils import VideoProcessorMixin

# The second is a processor of transformers, or what stands in for one.
Built = tuple[PreTrainedModel, Any]
Builder = Callable[[], Built]

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SENTENCES = ("What is this? Is there a star?", "Describe the image. A photo of a red square.")


def build_tokenizer(*special: str, **named: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 300 tokens and the special ones; adds none by itself.

    Args:
        special: special tokens without a name.
        named: special tokens that the processor reads from the tokenizer by their names,
            such as `image_token`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([*special, *named.values()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=named,
        clean_up_tokenization_spaces=False,
    )


def chat_template(image: str) -> str:
    """A chat template that writes `image` where a message has an image."""
    return (
        f"{BOS}{{% for message in messages %}}"
        "{{ message['role'] + ': ' }}"
        "{% for part in message['content'] %}"
        f"{{% if part['type'] == 'image' %}}{image}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}"
        "{% endfor %}{{ ' ' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )


def ends(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The ids of the padding, first and last token, as configs name them."""
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {name: getattr(tokenizer, name) for name in names}


class NoVideo(VideoProcessorMixin):
    """Stands in for the video processors of transformers, which need torchvision."""


def no_video(model_type: str) -> NoVideo:
    """The stand-in, which from now on is what a saved processor of this family gets too."""
    config_class = type(AutoConfig.for_model(model_type))
    AutoVideoProcessor.register(
        config_class, video_processor_classes={"torchvision": NoVideo}, exist_ok=True
    )
    # Without torchvision, transformers cannot look up the class that it checks for.
    transformers_module.VideoProcessorMixin = VideoProcessorMixin
    return NoVideo()


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """An RGB picture of coloured blotches."""
    blotches = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC)


def finish(model: PreTrainedModel, processor: ProcessorMixin, seed: int = 0) -> Built:
    """Give a model weights whose outputs depend on all that comes in, and its last settings."""
    tokenizer: Any = processor.tokenizer
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in model.named_modules():
            for parameter in module.parameters(recurse=False):
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(_weights(name, module, parameter, noise))
        _silence(model, sorted(set(tokenizer.added_tokens_decoder) - {tokenizer.eos_token_id}))
    model.generation_config = GenerationConfig(**ends(tokenizer))
    return model.eval(), processor


def save(build: Builder, folder: Path) -> Path:
    """Save a family's model and processor as `from_pretrained` reads them; returns the folder."""
    model, processor = build()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _weights(name: str, module: nn.Module, parameter: Tensor, noise: Tensor) -> Tensor:
    """Weights large enough that the output varies with every input, block and expert.

    The customary deviation of 0.02 leaves a small model's output almost constant.
    """
    if parameter.ndim < 2:
        is_norm_or_bias = bool((parameter == parameter[:1]).all())
        # Attention between normed queries and keys would be spread evenly.
        sharpness = 1.0 if name.endswith((".q_norm", ".k_norm")) else 0.0
        return parameter + sharpness + 0.5 * noise if is_norm_or_bias else noise
    if isinstance(module, nn.Embedding):
        return noise
    is_convolution = type(module).__name__.startswith("Conv")
    fan_in = parameter[0].numel() if is_convolution else parameter.shape[-1]
    # Routers that hardly prefer an expert make every expert count.
    gain = 0.5 if name.endswith((".gate", ".router")) else 2.0
    return gain * fan_in**-0.5 * noise


def _silence(model: PreTrainedModel, token_ids: list[int]) -> None:
    """Make some tokens outputs that never win, such as an image in an answer."""
    head: Any = model.get_output_embeddings()
    if head.weight is not model.get_input_embeddings().weight:
        head.weight[token_ids] = 0.0
