"""The compiled runtime: a cache of fixed size, and a decode step that is one graph.

`torch.compile` makes one graph of the step; on a GPU a CUDA graph of its kernels is captured once
for each state of the knobs and replayed for each token, so that the host launches nothing but the
replay. The prompt runs as in the eager runtime, into the cache of fixed size.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, StaticCache
from transformers.cache_utils import StaticLayer

from m1.errors import UserError
from m1.vlm.runtime import Runtime
from m1.vlm.structure import KnobState, VlmStructure

# Sizes of the cache are multiples of this, so that few are compiled.
ROOM = 64
# Steps that run before the capture, so that kernels are tuned and libraries set up outside it.
WARM_STEPS = 2
# Products with a single row become kernels of inductor's own, fused with their neighbours, and it
# tries many tiles for them: on an H200 a 7B model decodes 16 % faster so.
AUTOTUNE = ("max_autotune", "coordinate_descent_tuning")
# One for each state of the knobs; beyond dynamo's own limit it would silently run eagerly.
MOST_STATES = 256

Step = Callable[[Tensor], Tensor]


class CompiledRuntime(Runtime):
    """Runs prompts eagerly and decode steps as one compiled graph."""

    def __init__(
        self, structure: VlmStructure, *, autotune: bool = False, backend: str = "inductor"
    ) -> None:
        """Compile nothing yet: each state of the knobs is, at its first token.

        Args:
            structure: of the model.
            autotune: whether inductor tries many kernels.
            backend: of `torch.compile`.
        """
        self.structure = structure
        options = dict.fromkeys(AUTOTUNE, True) if autotune else None
        self.compile: Callable[[Step], Step] = partial(
            torch.compile, fullgraph=True, dynamic=False, backend=backend, options=options
        )
        self.room = 0
        self.cache: StaticCache | None = None
        self.steps: dict[KnobState, Step] = {}
        self.position: Tensor | None = None

    def make_room(self, n_positions: int) -> None:
        """Have a cache of at least so many positions; a larger one than before compiles anew.

        Raises:
            UserError: if the model keeps more than keys and values of all positions.
        """
        needed = n_positions + WARM_STEPS
        if self.cache is None or needed > self.room:
            self.room = -(-needed // ROOM) * ROOM
            self.cache = fixed_cache(self.structure, self.room)
            self.steps = {}

    def prefill(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
        """Run the whole prompt into the cache, emptied before."""
        self.make_room(inputs["input_ids"].shape[1] + 1)
        cache: Any = self.cache
        # What lies beyond the end is hidden by masks: only the counts have to go.
        torch._foreach_zero_(counters(cache))
        output: Any = self.structure.model(
            **inputs, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        self._keep_position(inputs["input_ids"].shape[1])
        return output.logits[:, -1], cache

    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run one token by the step of the present state of the knobs."""
        state = self.structure.state
        if state not in self.steps:
            self.steps[state] = self._compiled_step(token)
        return self.steps[state](token)

    def _keep_position(self, n: int) -> None:
        """Where the next token is, for models with positions in several dimensions."""
        owner: Any = getattr(self.structure.model, "model", self.structure.model)
        if (offset := getattr(owner, "rope_deltas", None)) is None:
            return
        if self.position is None:
            self.position = torch.empty((3, 1, 1), dtype=torch.long, device=offset.device)
        self.position.copy_(n + offset.reshape(1, 1, 1))

    def _compiled_step(self, token: Tensor) -> Step:
        cache: Any = self.cache
        step = compiled_step(self.structure.model, cache, self.position, self.compile)
        return captured(step, token, cache, self.position) if token.is_cuda else step


def fixed_cache(structure: VlmStructure, n_positions: int) -> StaticCache:
    """A key-value cache of fixed size.

    Raises:
        UserError: if some layers keep something else, or only the latest positions: then the step
            depends on how far the output has come, and one graph cannot stand for it.
    """
    language_model: Any = structure.language_model
    cache = StaticCache(config=language_model.config, max_cache_len=n_positions)
    others = {type(layer).__name__ for layer in cache.layers if type(layer) is not StaticLayer}
    if others:
        raise UserError(
            f"model.runtime = compiled: {type(structure.model).__name__} keeps "
            f"{', '.join(sorted(others))} beside keys and values of all positions; use eager"
        )
    return cache


def counters(cache: StaticCache) -> list[Tensor]:
    """How many positions each layer holds."""
    layers: Any = cache.layers
    return [layer.cumulative_length for layer in layers]


def compiled_step(
    model: Any,  # noqa: ANN401 (of transformers)
    cache: StaticCache,
    position: Tensor | None,
    compile_graph: Callable[[Step], Step],
) -> Step:
    """One token against the cache, as one graph: logits (1 x vocabulary) of the next.

    Args:
        model: at the state of its knobs that is compiled.
        cache: holds the prompt.
        position: the token's place in each dimension (3 x 1 x 1), advanced by the step; `None` for
            models that count positions in the cache alone.
        compile_graph: makes one graph of a function.
    """
    places = {} if position is None else {"position_ids": position}

    # Not the module itself: hooks on it are for prefill, and would be compiled as well.
    def step(token: Tensor) -> Tensor:
        output: Any = model.forward(
            input_ids=token, past_key_values=cache, use_cache=True, **places
        )
        if position is not None:
            position.add_(1)
        logits: Tensor = output.logits[:, -1]
        return logits

    compiled = compile_graph(step)

    def run(token: Tensor) -> Tensor:
        with torch._dynamo.config.patch(
            recompile_limit=MOST_STATES, accumulated_recompile_limit=MOST_STATES
        ):
            return compiled(token)

    return run


def captured(step: Step, token: Tensor, cache: StaticCache, position: Tensor | None) -> Step:
    """A CUDA graph of a step, captured without any effect on cache or position."""
    given = token.clone()
    counts = counters(cache) + ([] if position is None else [position])
    before = [count.clone() for count in counts]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_STEPS):
            step(given)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step(given)
    # Capturing runs nothing; the warm steps did, and left keys beyond the end that masks hide.
    for count, value in zip(counts, before, strict=True):
        count.copy_(value)

    def replay(token: Tensor) -> Tensor:
        given.copy_(token)
        graph.replay()
        return logits

    return replay
