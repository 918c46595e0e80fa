"""Where a model's visual tokens can be averaged into fewer, found by watching it once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from m1.vlm.encoding import blank_request
from m1.vlm.loaded import LoadedVlm
from m1.vlm.pooling import GRID, count_features, intercepted_features
from m1.vlm.processing import count_visual_tokens
from m1.vlm.runtime import EagerRuntime
from m1.vlm.structure import Pooling, StructureError, VlmStructure


@dataclass
class Seen:
    """Numbers of visual features on their way to the language model."""

    into_projector: list[int] = field(default_factory=list)
    out_of_projector: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)


@torch.inference_mode()
def find_pooling(vlm: LoadedVlm) -> Pooling:
    """Find the place by running an empty request.

    Before the projector where that keeps the number of features. Else where the model merges
    them into the prompt. Nowhere if the model places them by the image's own grid, which then no
    longer fits: such models take images of any size.

    Raises:
        StructureError: if the image does not go into the prompt.
    """
    inputs = blank_request(vlm)
    n = count_visual_tokens(vlm, inputs)
    if not n:
        raise StructureError(
            f"{type(vlm.model).__name__}: a prompt has no place for the image once the processor "
            f"is done with it; its chat template ({vlm.prompts.template}) or its image token is "
            "not the model's"
        )
    if any(GRID in name for name in inputs):
        return "none"
    with _watched(vlm.structure) as seen:
        EagerRuntime(vlm.model).prefill(inputs)
    if n not in (sum(seen.merged), sum(seen.out_of_projector)):
        raise StructureError(
            f"{type(vlm.model).__name__}: its prompt has {n} places for visual tokens, it makes "
            f"{sum(seen.merged) or sum(seen.out_of_projector)}; models that take the image "
            "elsewhere than in the prompt cannot be measured"
        )
    if seen.into_projector == seen.out_of_projector == [n]:
        return "before_projector"
    return "at_merge" if seen.merged == [n] else "none"


@contextmanager
def _watched(structure: VlmStructure) -> Iterator[Seen]:
    seen = Seen()

    def projected(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        seen.into_projector.append(count_features(args[0]) if args else 0)
        seen.out_of_projector.append(count_features(output))

    def merged(output: Any) -> Any:  # noqa: ANN401 (a model output)
        seen.merged.append(count_features(getattr(output, "pooler_output", None)))
        return output

    with ExitStack() as undo:
        for projector in structure.projectors:
            undo.callback(projector.register_forward_hook(projected).remove)
        undo.enter_context(intercepted_features(structure, merged))
        yield seen
