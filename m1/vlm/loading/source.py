"""Read a model's folder or repository: its configuration and processor, but not its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import CONFIG_NAME
from transformers.utils.hub import cached_file, extract_commit_hash

from m1.errors import UserError
from m1.params import ModelParams
from m1.reading import is_folder, shown
from m1.vlm.loading.stand_in import StandInProcessor

# What transformers raises where a processor is missing or broken.
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)


def check_source(params: ModelParams) -> None:
    """Check that a source which can only be a folder exists, and has the files that are needed.

    Raises:
        UserError: if it does not.
    """
    folder = Path(params.source)
    if not is_folder(folder):
        if params.source.startswith((".", "/", "~")) or params.source.count("/") != 1:
            raise UserError(f"model.source = {shown(params.source)}: no such folder, and no hub id")
        return
    if params.revision is not None:
        raise UserError(f"model.revision = {params.revision}: a folder has none; set it to null")
    if params.weights == "pretrained" and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"model.source = {params.source}: no *.safetensors in it; save the model with "
            "safetensors, or set model.weights to random for its latency alone"
        )


def commit_of(params: ModelParams) -> str | None:
    """The commit on the hub that a branch or tag names now, so that all files are of one commit."""
    if is_folder(Path(params.source)):
        return None
    return extract_commit_hash(
        cached_file(params.source, CONFIG_NAME, revision=params.revision), None
    )


def config_of(params: ModelParams) -> PreTrainedConfig:
    """The configuration, with the changes of `model.config`.

    Raises:
        UserError: if a change names an entry that the configuration does not have.
    """
    config: PreTrainedConfig = AutoConfig.from_pretrained(params.source, **hub_options(params))
    override(config, params.config)
    return config


def override(config: PreTrainedConfig, changes: Mapping[str, Any], place: str = "") -> None:
    """Change entries of a configuration and its parts.

    Raises:
        UserError: if the configuration does not have such an entry.
    """
    for name, value in changes.items():
        if not hasattr(config, name):
            raise UserError(
                f"model.config.{place}{name}: {type(config).__name__} has no such entry"
            )
        part = getattr(config, name)
        if isinstance(part, PreTrainedConfig) and isinstance(value, Mapping):
            override(part, value, f"{place}{name}.")
        else:
            setattr(config, name, value)


def hub_options(params: ModelParams) -> dict[str, Any]:
    """The arguments that tell transformers where files come from."""
    return {"revision": params.revision, "trust_remote_code": params.trust_remote_code}


def processor_of(params: ModelParams, model: PreTrainedModel) -> Any:  # noqa: ANN401
    """The model's own processor. With random weights it is a stand-in if there is none."""
    try:
        processor = AutoProcessor.from_pretrained(params.source, **hub_options(params))
        # Without a tokenizer, transformers may return the image processor alone.
        if hasattr(processor, "tokenizer"):
            return processor
        reason: Exception = OSError("it has no tokenizer")
    except LOADING_ERRORS as error:
        reason = error
    if params.weights != "random":
        raise reason
    return StandInProcessor(model, _image_processor(params))


def _image_processor(params: ModelParams) -> Any:  # noqa: ANN401 (of transformers)
    """The image processor in the same folder as a configuration, if there is one."""
    try:
        return AutoImageProcessor.from_pretrained(params.source, **hub_options(params))
    except LOADING_ERRORS:
        return None
