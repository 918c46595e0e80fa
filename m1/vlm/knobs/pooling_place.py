"""Find where a model's visual tokens can be averaged into fewer, by watching one request."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from m1.vlm.encoding import blank_request
from m1.vlm.knobs.pooling import GRID, count_features, intercepted_features
from m1.vlm.model import LoadedVlm
from m1.vlm.processing import count_visual_tokens
from m1.vlm.runtime.eager import EagerRuntime
from m1.vlm.structure import Pooling, StructureError, VlmStructure


@dataclass
class Seen:
    """Numbers of visual features on their way to the language model."""

    into_projector: list[int] = field(default_factory=list)
    out_of_projector: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)


class _AtBlocks(Exception):  # noqa: N818 (no error: nothing else has to be seen)
    """The prompt has reached the decoder blocks."""


@torch.inference_mode()
def find_pooling(vlm: LoadedVlm) -> Pooling:
    """Find the place by running an empty request up to the decoder blocks.

    The place is before the projector if the projector keeps the number of features. Otherwise it
    is where the model merges them into the prompt. There is no place if the model arranges features
    by the image's own grid, which would no longer fit. Such models accept images of any size.

    Raises:
        StructureError: if the image does not go into the prompt.
    """
    inputs, n = _empty_request(vlm)
    return "none" if _has_grid(inputs) else _place(vlm, n, _see(vlm, inputs, _AtBlocks))


@torch.inference_mode()
def find_pooling_of_outline(vlm: LoadedVlm, fill: Callable[[], None]) -> Pooling:
    """Like `find_pooling`, for a model without weights.

    Features can be counted without computing anything, unless some code asks for values.

    Args:
        vlm: the model, with weights on the device `meta`; it encodes on the CPU.
        fill: gives weights to the modules before the decoder blocks, if values are needed.
    """
    inputs, n = _empty_request(vlm)
    if _has_grid(inputs):
        return "none"
    nowhere = {name: tensor.to("meta") for name, tensor in inputs.items()}
    # At the latest the merge asks for values. Its features have been counted by then.
    places = _see(vlm, nowhere, Exception)
    if not places.merged:
        fill()
        places = _see(vlm, inputs, _AtBlocks)
    return _place(vlm, n, places)


def _empty_request(vlm: LoadedVlm) -> tuple[dict[str, Tensor], int]:
    """The inputs of an empty request, and its number of visual tokens."""
    inputs = blank_request(vlm)
    n = count_visual_tokens(vlm, inputs)
    if not n:
        raise StructureError(
            f"{type(vlm.model).__name__}: a prompt has no place for the image in the processor's "
            f"output; its chat template ({vlm.prompts.template}) or image token is not the model's"
        )
    return inputs, n


def _has_grid(inputs: Iterable[str]) -> bool:
    return any(GRID in name for name in inputs)


def _see(vlm: LoadedVlm, inputs: dict[str, Tensor], ending: type[Exception]) -> Seen:
    """Watch a prompt until it ends with an exception of the given type."""
    with _watched(vlm.structure) as places, suppress(ending):
        EagerRuntime(vlm.model).prefill(inputs)
    return places


def _place(vlm: LoadedVlm, n: int, places: Seen) -> Pooling:
    if n not in (sum(places.merged), sum(places.out_of_projector)):
        raise StructureError(
            f"{type(vlm.model).__name__}: its prompt has {n} places for visual tokens, it makes "
            f"{sum(places.merged) or sum(places.out_of_projector)}; models that take the image "
            "elsewhere than in the prompt cannot be measured"
        )
    if places.into_projector == places.out_of_projector == [n]:
        return "before_projector"
    return "at_merge" if places.merged == [n] else "none"


@contextmanager
def _watched(structure: VlmStructure) -> Iterator[Seen]:
    places = Seen()

    def projected(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        places.into_projector.append(count_features(args[0]) if args else 0)
        places.out_of_projector.append(count_features(output))

    def stop(*_: object) -> None:
        raise _AtBlocks

    def merged(output: Any) -> Any:  # noqa: ANN401 (a model output)
        places.merged.append(count_features(getattr(output, "pooler_output", None)))
        return output

    with ExitStack() as undo:
        for projector in structure.projectors:
            undo.callback(projector.register_forward_hook(projected).remove)
        undo.callback(structure.blocks[0].register_forward_pre_hook(stop).remove)
        undo.enter_context(intercepted_features(structure, merged))
        yield places
