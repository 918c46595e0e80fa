"""The quantisation that a model's configuration reports."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedModel

from m1.schemas.profile import Quantisation

BITS = ("bits", "nbits", "w_bit", "num_bits", "weight_bits")


def quantisation_of(model: PreTrainedModel) -> Quantisation | None:
    """Method and bits of a model's weights; `None` if they are not quantised."""
    quantizer: Any = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return None
    settings = quantizer.quantization_config.to_dict()
    method = settings["quant_method"]
    name = str(getattr(method, "value", method))
    return Quantisation(method=name, bits=_bits(name, settings))


def _bits(method: str, settings: Mapping[str, Any]) -> int | None:
    """Bits of a weight, from the settings or else from the method's name (`mxfp4`)."""
    loaded_in = (n for n in (4, 8) if settings.get(f"load_in_{n}bit"))
    in_name = (int(n) for n in re.findall(r"(?:fp|int)(\d+)", method))
    return next((n for source in (loaded_in, _named(settings), in_name) for n in source), None)


def _named(settings: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of bits under the names that libraries use for them, outer ones first."""
    yield from (settings[name] for name in BITS if type(settings.get(name)) is int)
    for part in settings.values():
        if isinstance(part, Mapping):
            yield from _named(part)
