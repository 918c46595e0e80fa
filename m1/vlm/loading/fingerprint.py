"""A fingerprint of everything that decides what a model writes.

It is computed from what was loaded, not from the files. A folder also has files that change
nothing, such as a README. The files of a hub model lie in a cache together with others.
"""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from m1.files import temporary_files
from m1.schemas.settings import Weights

# The package in which transformers puts the code of model repositories.
REMOTE_CODE = "transformers_modules."


def model_fingerprint(model: PreTrainedModel, weights: Weights, processor: str) -> str:
    """SHA-256 of a model's configurations, own code, processor and weights.

    Args:
        model: the model.
        weights: whether weights are random; the values of random weights do not count.
        processor: the fingerprint of its processor.
    """
    digest = hashlib.sha256(model.config.to_json_string().encode())
    # A model that only serves as an architecture may have none.
    if (generation := model.generation_config) is not None:
        digest.update(generation.to_json_string().encode())
    digest.update(f"{processor} {_remote_code(model, model.config)} {weights}".encode())
    for name, tensor in sorted(model.state_dict().items()) if weights == "pretrained" else ():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def processor_fingerprint(processor: Any) -> str:  # noqa: ANN401 (of transformers, or a stand-in)
    """SHA-256 of the files that a processor saves, and of its own code.

    These files are what it was loaded from: settings of images, tokenizer, chat template. Compute
    this before the processor is used: a tokenizer also saves its last padding.
    """
    tokenizer, images = (getattr(processor, n, None) for n in ("tokenizer", "image_processor"))
    digest = hashlib.sha256(_remote_code(processor, tokenizer, images).encode())
    with tempfile.TemporaryDirectory() as name:
        with temporary_files():
            processor.save_pretrained(name)
        for file in sorted(path for path in Path(name).rglob("*") if path.is_file()):
            digest.update(file.relative_to(name).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> Any:  # noqa: ANN401 (an array, whose memory is hashed)
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _remote_code(*objects: object) -> str:
    """SHA-256 of the code from a model's repository, for objects that are defined by such code."""
    packages = {type(one).__module__.rpartition(".")[0] for one in objects}
    prefixes = tuple(f"{name}." for name in packages if name.startswith(REMOTE_CODE))
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(prefixes)]
    files = {Path(module.__file__) for module in modules if module.__file__}
    parts = sorted(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
