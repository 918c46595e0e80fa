"""A stand-in for a processor, for models with only a published configuration.

Latency depends only on the shapes of the inputs. The image goes through the architecture's own
image processor. Each word of the prompt becomes one token. The number of visual tokens is the
number that the model makes from the image.
"""

import inspect
import json
import re
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, PreTrainedModel

from m1.errors import UserError
from m1.vlm.knobs.pooling import GRID
from m1.vlm.runtime.shapes import shape_of
from m1.vlm.structure import inner_model

WORDS = re.compile(r"\w+|[^\w\s]")
POSITION_TYPES = ("token_type_ids", "mm_token_type_ids")


class StandInProcessor:
    """Encodes requests for a model without tokenizer and processor."""

    chat_template = None
    image_token = "<image>"

    def __init__(self, model: PreTrainedModel, image_processor: Any = None) -> None:  # noqa: ANN401
        """Use an image processor, or find the one of the model's architecture.

        Raises:
            UserError: if the architecture names no image processor.
        """
        self.model = model
        self.image_processor = image_processor or _image_processor(model)
        self.n_features: dict[Any, int] = {}
        self.patches_per_token = 0

    def __call__(self, text: str, images: Sequence[Image.Image], **_: object) -> dict[str, Tensor]:
        """Encode a prompt that starts with the image's place."""
        pixels = self.image_processor(images=list(images), return_tensors="pt")
        tensors = {name: value for name, value in pixels.items() if isinstance(value, Tensor)}
        n = self._count_features(tensors)
        image_id = int(self.model.config.image_token_id)
        words = self.token_ids(text.removeprefix(self.image_token))
        input_ids = torch.tensor([[image_id] * n + words])
        is_image = (input_ids == image_id).long()
        accepted = inspect.signature(self.model.forward).parameters
        types = {name: is_image for name in POSITION_TYPES if name in accepted}
        return {"input_ids": input_ids, **types, **tensors}

    def token_ids(self, text: str) -> list[int]:
        """One token for each word and punctuation mark. Equal words always have equal tokens."""
        embeddings: Any = self.model.get_input_embeddings()
        n_words = int(embeddings.weight.shape[0])
        ids = [zlib.crc32(word.lower().encode()) % n_words for word in WORDS.findall(text)]
        special = int(self.model.config.image_token_id)
        return [i if i != special else (i + 1) % n_words for i in ids] or [0]

    def tokenizer(self, text: str, **_: object) -> dict[str, list[int]]:
        """The output of a tokenizer for a text."""
        return {"input_ids": self.token_ids(text)}

    def decode(self, tokens: Sequence[int], **_: object) -> str:
        """An empty text, since tokens of random weights have no text."""
        return ""

    def save_pretrained(self, folder: str) -> None:
        """Save the image processor, the only part that comes from elsewhere."""
        self.image_processor.save_pretrained(folder)

    @torch.inference_mode()
    def _count_features(self, tensors: dict[str, Tensor]) -> int:
        grids = [tensor for name, tensor in tensors.items() if GRID in name]
        if grids:
            return self._count_on_grid(tensors, int(grids[0].prod()))
        key = tuple((name, shape_of(t)) for name, t in sorted(tensors.items()))
        if key not in self.n_features:
            self.n_features[key] = _count_image_features(self.model, tensors)
        return self.n_features[key]

    def _count_on_grid(self, tensors: dict[str, Tensor], n_patches: int) -> int:
        """Visual tokens from patches. Towers of any image size put equally many into each token."""
        if not self.patches_per_token:
            n_features = _count_image_features(self.model, tensors)
            self.patches_per_token = n_patches // n_features
        return n_patches // self.patches_per_token


def _count_image_features(model: PreTrainedModel, tensors: dict[str, Tensor]) -> int:
    """Visual tokens that the model makes from an image, counted by running its vision path."""
    owner: Any = inner_model(model)
    if not hasattr(owner, "get_image_features"):
        raise UserError(
            f"{type(model).__name__}: it has no get_image_features, so how many visual tokens an "
            "image has is unknown; give the model's own processor"
        )
    accepted = inspect.signature(owner.get_image_features).parameters
    inputs = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in tensors.items()
        if name in accepted
    }
    output = owner.get_image_features(**inputs, return_dict=True)
    features = output.pooler_output
    if features is None:
        features = output.last_hidden_state
    parts = [features] if isinstance(features, Tensor) else features
    return sum(part.numel() // part.shape[-1] for part in parts)


def _image_processor(model: PreTrainedModel) -> Any:  # noqa: ANN401 (of the architecture)
    """The architecture's image processor, fitted to the configuration of the vision tower."""
    model_type: Any = model.config.model_type
    vision: Any = getattr(model.config, "vision_config", None)
    with tempfile.TemporaryDirectory() as folder:
        for name in _names(model_type):
            try:
                return _load(Path(folder), name, _fitting(_load(Path(folder), name, {}), vision))
            except (OSError, ValueError):
                continue
    raise UserError(
        f"{type(model).__name__}: no image processor is known for {model_type}; save the model's "
        "own processor beside its configuration"
    )


def _names(model_type: str) -> list[str]:
    """A model type and the types that it may be a variant of: `a_b_moe`, `a_b`, `a`."""
    parts = model_type.split("_")
    return ["_".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _load(folder: Path, model_type: str, settings: dict[str, Any]) -> Any:  # noqa: ANN401
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return AutoImageProcessor.from_pretrained(folder)


def _fitting(processor: Any, vision: Any) -> dict[str, Any]:  # noqa: ANN401
    """Settings of the image processor that follow from the vision tower's configuration."""
    pairs = {
        "patch_size": "patch_size",
        "temporal_patch_size": "temporal_patch_size",
        "merge_size": "spatial_merge_size",
    }
    settings = {
        ours: value
        for ours, theirs in pairs.items()
        if hasattr(processor, ours) and isinstance(value := getattr(vision, theirs, None), int)
    }
    return settings | _fixed_size(processor, getattr(vision, "image_size", None))


def _fixed_size(processor: Any, side: Any) -> dict[str, Any]:  # noqa: ANN401
    """The input size of a tower of fixed resolution."""
    size = dict(getattr(processor, "size", None) or {})
    names = {name for name, value in size.items() if value}
    if not isinstance(side, int) or not names or "longest_edge" in names:
        return {}
    fixed: dict[str, Any] = {"size": dict.fromkeys(names, side)}
    if getattr(processor, "crop_size", None):
        fixed["crop_size"] = {"height": side, "width": side}
    return fixed
