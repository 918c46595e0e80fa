"""Stand-ins for the processors that transformers has only with torchvision.

They lay out prompts and tensors as those do at the settings of the tiny families; the values of
pixels merely follow the picture. `tests/test_families_plain.py` compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast

from families.plain_images import (
    LaidOut,
    cohere2_vision_image,
    lfm2_vl_image,
    llama4_image,
    mistral3_image,
    molmo2_image,
)

MOLMO2_PARTS = ("<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<im_end>")


@dataclass(frozen=True)
class PlainProcessor:
    """Tokenizer, chat template and one picture, called as a processor of transformers is."""

    tokenizer: PreTrainedTokenizerFast
    chat_template: str
    image_token: str
    """Stands in a prompt where the picture goes."""
    lay_out: Callable[[Image.Image], LaidOut]
    typed_tokens: tuple[str, ...] = ()
    """Tokens of type 1 in `mm_token_type_ids`, which the inputs have only where there are any."""

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> str:
        text = self.tokenizer.apply_chat_template(
            messages, chat_template=self.chat_template, **options
        )
        return str(text)

    def __call__(self, text: str, images: list[Image.Image], **options: Any) -> BatchFeature:
        tokens, tensors = self.lay_out(images[0].convert("RGB"))
        inputs = self.tokenizer([text.replace(self.image_token, tokens, 1)], **options)
        types = self._types(inputs["input_ids"]) if self.typed_tokens else {}
        return BatchFeature({**inputs, **types, **tensors})

    def decode(self, ids: Any, **options: Any) -> str:
        return str(self.tokenizer.decode(ids, **options))

    def save_pretrained(self, folder: str) -> None:
        self.tokenizer.save_pretrained(folder)

    def _types(self, input_ids: Tensor) -> dict[str, Tensor]:
        typed = torch.tensor(self.tokenizer.convert_tokens_to_ids(list(self.typed_tokens)))
        return {"mm_token_type_ids": torch.isin(input_ids, typed).long()}


def plain_processor(
    family: str, tokenizer: PreTrainedTokenizerFast, chat_template: str
) -> PlainProcessor:
    """The stand-in for the processor of a family."""
    return PlainProcessor(tokenizer, chat_template, *IMAGES[family])


IMAGES: dict[str, tuple[Any, ...]] = {
    "molmo2": ("<|image|>", molmo2_image, MOLMO2_PARTS),
    "mistral3": ("[IMG]", mistral3_image),
    "llama4": ("<|image|>", llama4_image),
    "lfm2_vl": ("<image>", lfm2_vl_image),
    "cohere2_vision": ("<|IMG_PATCH|>", cohere2_vision_image),
}
