"""Check that the loaded model is the model that its files describe.

transformers ignores much without a message: weights that have no place in the model, quantisation
that it does not know or undoes, adapters if their library is missing.
"""

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.quantizers.auto import AutoHfQuantizer
from transformers.utils.hub import cached_file
from transformers.utils.loading_report import LoadStateDictInfo

from m1.errors import UserError
from m1.reading import is_file
from m1.reasons import chain, informative, why
from m1.schemas.settings import Weights

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
GENERATION = "generation_config.json"
EIGHT_BITS = {"I8", "U8", "F8_E4M3", "F8_E5M2"}
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"


def check_files(source: str, revision: str | None) -> None:
    """Check that no other file would change a model's weights, and that files can be read.

    Raises:
        UserError: if there is an adapter, a second set of weights, or a generation config that
            transformers would ignore.
    """
    folder = Path(source)
    adapters = [name for name in ADAPTER_WEIGHTS if is_file(folder / name)]
    if _file_of(source, revision, ADAPTER) is not None:
        adapters.insert(0, ADAPTER)
    if adapters:
        raise UserError(
            f"model.source = {source}: it has an {adapters[0]}, and adapters are not applied: "
            "merge the adapter into the weights and save the whole model, or remove the file"
        )
    if (generation := _file_of(source, revision, GENERATION)) is not None:
        _check_generation(source, generation)
    index = folder / WEIGHTS_INDEX
    if is_file(index) and is_file(index.with_name(WEIGHTS)):
        others = set(json.loads(index.read_text())["weight_map"].values()) - {WEIGHTS}
        if others:
            raise UserError(
                f"model.source = {source}: two sets of weights, {WEIGHTS} and what "
                f"{WEIGHTS_INDEX} names ({min(others)}): remove one of them"
            )


def _file_of(source: str, revision: str | None, name: str) -> Path | None:
    """A file of a model's folder or repository; `None` if it has no file with that name."""
    tolerant = ("gated_repo", "missing_entries", "connection_errors")
    options: dict[str, Any] = {f"_raise_exceptions_for_{kind}": False for kind in tolerant}
    path = cached_file(source, name, revision=revision, **options)
    return None if path is None else Path(path)


def _check_generation(source: str, file: Path) -> None:
    """Check that the generation config can be read.

    Without it, outputs may end elsewhere, or a penalty may be left out, without a message.
    """
    try:
        settings = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        reason = why(error)
    else:
        if isinstance(settings, dict):
            return
        reason = "not an object"
    raise UserError(
        f"model.source = {source}: {GENERATION} is no JSON object ({reason}): fix it, or remove "
        "it if the model needs none"
    )


def check_config(source: str, config: PreTrainedConfig, weights: Weights) -> None:
    """Check that a configuration describes a model that can be measured as intended.

    Raises:
        UserError: if it has an encoder before its decoder, or quantisation that would be ignored.
    """
    for place, part in _parts(config):
        if getattr(part, "is_encoder_decoder", False):
            raise UserError(
                f"model.source = {source}: an encoder-decoder model ({place}is_encoder_decoder in "
                "its configuration), which cannot be measured: prefill and decode need one "
                "decoder that reads the prompt and writes the output"
            )
        if settings := getattr(part, "quantization_config", None):
            reason = _why_not_quantised(settings, weights, any(part is q for q in _whole(config)))
            if reason:
                raise UserError(
                    f"model.source = {source}: {place}quantization_config asks for "
                    f"{settings.get('quant_method')}, {reason}: take the model without "
                    "quantisation, or set the entry to null in model.config"
                )


def _why_not_quantised(settings: Mapping[str, Any], weights: Weights, whole: bool) -> str | None:
    """Why transformers would not quantise as asked, if this is known before loading."""
    if weights == "random":
        return "and random weights are not quantised"
    if not whole:
        return "which transformers heeds for the whole model and its language model only"
    if not AutoHfQuantizer.supports_quant_method(settings):
        return "which transformers does not know"
    return "and to be undone (dequantize)" if settings.get("dequantize") else None


def check_stored(source: str, revision: str | None, config: PreTrainedConfig) -> None:
    """Check that weights are stored as numbers that can be used directly.

    A quantisation stores codes of 8 bits, and scales beside them. Without the scales the codes are
    not weights, but they would be used as weights without a message.

    Raises:
        UserError: if a weight has 8 bits and no configuration asks for quantisation.
    """
    if any(getattr(part, "quantization_config", None) for part in _whole(config)):
        return
    first = _file_of(source, revision, WEIGHTS) or _file_of(source, revision, WEIGHTS_INDEX)
    for file in sorted(first.parent.glob("*.safetensors")) if first else ():
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (it is no mapping)
                stored = weights.get_slice(name)
                if stored.get_dtype() in EIGHT_BITS and len(stored.get_shape()) > 1:
                    raise UserError(
                        f"model.source = {source}: {name} is stored as {stored.get_dtype()}, so it "
                        "is quantised, and its configuration has no quantization_config: take the "
                        "model without quantisation, or one whose configuration says how"
                    )


def check_quantised(source: str, model: PreTrainedModel, config: PreTrainedConfig) -> None:
    """Check that a model is quantised if its configuration said so before loading.

    Raises:
        UserError: if it is not.
    """
    asked = any(getattr(part, "quantization_config", None) for part in _whole(config))
    quantizer: Any = getattr(model, "hf_quantizer", None)
    undone = quantizer is None or getattr(quantizer.quantization_config, "dequantize", False)
    if asked and undone:
        raise UserError(
            f"model.source = {source}: quantization_config: transformers undoes the quantisation "
            "if a device or a library for it is missing, and another model would be measured: "
            "measure where it is supported, or measure a model without quantisation"
        )


def check_weights(source: str, model: PreTrainedModel, info: Mapping[str, Any]) -> None:
    """Check that every weight of a model is in its files, and every weight of the files is used.

    Args:
        source: the source of the model.
        model: the loaded model.
        info: transformers' record of the loading. It already leaves out weights that an
            architecture declares irrelevant.

    Raises:
        UserError: if a weight is missing, unused or of another shape, or if the weights belong to
            another class; the message names it.
    """
    reason = _why_not_the_weights(info) or _why_not_the_class(model)
    if reason:
        raise UserError(f"model.source = {source}: cannot be loaded ({reason})")


def why_not_loaded(source: str, error: Exception) -> str:
    """Why transformers failed to load a model, in one line.

    If weights cannot be joined (for example the experts of one layer), its error only points to a
    report in the log. The contents of this report are found in the frames of the error.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            if isinstance(value, LoadStateDictInfo) and value.conversion_errors:
                (name, told), *more = sorted(value.conversion_errors.items())
                others = f" and {len(more)} more" if more else ""
                return f"{name}{others} cannot be made of its weights: {informative(told)}"
    if any(isinstance(one, json.JSONDecodeError) for one in chain(error)):
        return _broken_json(Path(source)) or why(error)
    return why(error)


def _broken_json(folder: Path) -> str | None:
    """The first file that is not JSON. Libraries seldom name it."""
    for file in sorted(folder.glob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            return f"{file.name} is no JSON: {why(error)}"
    return None


def _why_not_the_weights(info: Mapping[str, Any]) -> str | None:
    if info["mismatched_keys"]:
        name, in_file, by_config = min(info["mismatched_keys"], key=lambda one: str(one[0]))
        return (
            f"{name} is {_size(in_file)} in its weights and {_size(by_config)} by its "
            "configuration; check config.json and model.config"
        )
    if info["missing_keys"]:
        return f"it has no weights for {min(info['missing_keys'])}, or they do not fit"
    if info["unexpected_keys"]:
        first, *more = sorted(info["unexpected_keys"])
        return (
            f"its weights hold more than its configuration: {first}"
            f"{f' and {len(more)} more' if more else ''} would be left out; check config.json and "
            "model.config, merge adapters, or save the model without them"
        )
    return None


def _why_not_the_class(model: PreTrainedModel) -> str | None:
    named: Sequence[str] | str = getattr(model.config, "architectures", None) or []
    saved = [named] if isinstance(named, str) else named
    built = type(model).__name__
    if not saved or _plain(built) in map(_plain, saved):
        return None
    return (
        f"its weights are of {' and '.join(saved)} and would be run as {built}; if that is meant, "
        f"set architectures to [{built}] in model.config"
    )


def _plain(name: str) -> str:
    """A class name without the differences between spellings of the same class."""
    return name.replace("_", "").lower()


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _whole(config: PreTrainedConfig) -> tuple[PreTrainedConfig, PreTrainedConfig]:
    """The parts of a configuration in which transformers looks for quantisation."""
    return config, config.get_text_config(decoder=True)


def _parts(config: PreTrainedConfig, place: str = "") -> Iterator[tuple[str, PreTrainedConfig]]:
    """A configuration and all configurations inside it, with their places."""
    yield place, config
    for name, part in vars(config).items():
        if isinstance(part, PreTrainedConfig):
            yield from _parts(part, f"{place}{name}.")
