"""Count the work of each stage of a request: operations, and the bytes that they have to read.

The operators that the model calls are counted while a request runs. So the count is correct for
every architecture and at every setting of the knobs.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from transformers import PreTrainedModel

from m1.profiling.timing.marks import LAST_TOKEN, START, by_stage, mark_first_token, marked
from m1.schemas.profile import STAGES, Stage, StageWork
from m1.vlm.engine import answer
from m1.vlm.experts import experts_one_by_one
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.eager import EagerRuntime

aten: Any = torch.ops.aten
registry: Any = flop_registry


def _attention_operations(
    query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object
) -> int:
    """Operations of attention, counted in full, as if nothing were masked.

    Torch's own formula is not used: it refuses several heads of queries for one head of keys.
    """
    *batch_and_heads, n_queries, width = query.shape
    n_pairs = math.prod(batch_and_heads) * n_queries * key.shape[-2]
    return 2 * n_pairs * (width + value.shape[-1])


# Matrix products, convolutions and attention. All other operations are few in comparison.
FORMULAS: dict[Any, Callable[..., int]] = {
    **registry,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations,
    aten._scaled_dot_product_flash_attention: _attention_operations,
    aten._scaled_dot_product_efficient_attention: _attention_operations,
    aten._scaled_dot_product_cudnn_attention: _attention_operations,
}


class WorkCounter(TorchDispatchMode):
    """Counts, while it is open, operations and the bytes of weights that they read."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Remember the storage of each of the model's weights."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
        self.operations = 0.0
        self.weight_bytes = 0.0
        self.marks: list[tuple[str, float, float]] = []

    def mark(self, name: str) -> None:
        """Note the work so far."""
        self.marks.append((name, self.operations, self.weight_bytes))

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (an operator of torch)
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run and count an operator, or the simpler operators that it consists of."""
        given = kwargs or {}
        formula = FORMULAS.get(func.overloadpacket)
        if formula is None:
            with self:
                made_of = func.decompose(*args, **given)
            return func(*args, **given) if made_of is NotImplemented else made_of
        result = func(*args, **given)
        self.operations += formula(*args, **given, out_val=result)
        self.weight_bytes += sum(map(self._weight_bytes, args))
        return result

    def _weight_bytes(self, value: object) -> int:
        """Bytes of a weight, or of the part of it that is used; 0 for other values."""
        if isinstance(value, Tensor) and value.untyped_storage().data_ptr() in self.weights:
            return value.numel() * value.element_size()
        return 0


@torch.inference_mode()
def count_work(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> dict[Stage, StageWork]:
    """Count the work of each stage of one request. For decode, only the first step counts.

    Args:
        vlm: the model, its knobs already turned.
        inputs: from `encode`.
    """
    eager = replace(vlm, runtime=EagerRuntime(vlm.model))
    counter = WorkCounter(vlm.model)
    hooks = marked(vlm.structure, counter)
    with experts_one_by_one(vlm.structure), counter, hooks as observed:
        counter.mark(START)
        first_token = partial(mark_first_token, counter, observed)
        generation = answer(eager, inputs, 2, first_token, stops_at_end=False)
        counter.mark(LAST_TOKEN)
    model = type(vlm.model).__name__
    operations = by_stage([(name, done) for name, done, _ in counter.marks], model)
    weight_bytes = by_stage([(name, read) for name, _, read in counter.marks], model)
    cache_bytes = {"decode": _nbytes(generation.cache)}
    return {
        stage: StageWork(
            operations=operations[stage],
            weight_bytes=weight_bytes[stage],
            cache_bytes=cache_bytes.get(stage, 0.0),
        )
        for stage in STAGES
    }


def _nbytes(cache: Any) -> float:  # noqa: ANN401 (of transformers)
    """Bytes of keys and values of all positions."""
    kept = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    return float(sum(t.numel() * t.element_size() for t in kept if isinstance(t, Tensor)))
