"""The compiled runtime: a cache of fixed size, and a decode step that is one graph.

`torch.compile` makes one graph of the step. On a GPU its kernels are recorded once for each state
of the knobs and replayed for each token, so the host launches only the replay. Prompts run the
library's own code, and their kernels are recorded for each shape.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, StaticCache
from transformers.cache_utils import StaticLayer

from m1.errors import UserError
from m1.plain_text import tell
from m1.vlm.runtime.cuda_graph import Recorder
from m1.vlm.runtime.eager import Runtime
from m1.vlm.runtime.graphed_prompt import PromptGraphs
from m1.vlm.structure import KnobState, VlmStructure, inner_model

# Sizes of the cache are multiples of this, so that few sizes are compiled.
ROOM = 64
# Products with a single row become kernels of inductor's own, fused with their neighbours, and it
# tries many tiles for them: on an H200 a 7B model decodes 16 % faster so.
AUTOTUNE = ("max_autotune", "coordinate_descent_tuning")
# One for each state of the knobs; beyond dynamo's own limit it would silently run eagerly.
MOST_STATES = 256

Step = Callable[[Tensor], Tensor]


# Where torch's compiler and Triton keep what they chose, for later processes.
CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


@contextmanager
def compiler_choosing_anew() -> Iterator[None]:
    """Inside the block, a process compiles without what earlier processes chose."""
    before = {name: os.environ.get(name) for name in CACHES}
    with TemporaryDirectory(prefix="m1-compiled-", ignore_cleanup_errors=True) as folder:
        os.environ.update({name: f"{folder}/{name.lower()}" for name in CACHES})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class CompiledRuntime(Runtime):
    """Runs decode steps as one compiled graph, and on a GPU prompts as graphs of their kernels."""

    def __init__(
        self,
        structure: VlmStructure,
        *,
        autotune: bool = False,
        backend: str = "inductor",
        recorder: Recorder | None = None,
    ) -> None:
        """Compile nothing yet. Each state of the knobs is compiled at its first token.

        Args:
            structure: the structure of the model.
            autotune: whether inductor tries many kernels.
            backend: the backend of `torch.compile`.
            recorder: makes replays of kernels; `None` on devices without replays, such as a CPU.
        """
        self.structure = structure
        self.recorder = recorder
        options = dict.fromkeys(AUTOTUNE, True) if autotune else None
        self.compile: Callable[[Step], Step] = partial(
            torch.compile, fullgraph=True, dynamic=False, backend=backend, options=options
        )
        self.room = 0
        self.cache: StaticCache | None = None
        self.steps: dict[KnobState, Step] = {}
        self.prompts: PromptGraphs | None = None
        self.position: Tensor | None = None

    def make_room(self, n_positions: int) -> None:
        """Make a cache of at least `n_positions` positions. A larger cache needs a new compilation.

        Raises:
            UserError: if the model keeps other things than keys and values of all positions.
        """
        if self.cache is None or n_positions > self.room:
            self.room = -(-n_positions // ROOM) * ROOM
            self.cache = cache = _fixed_cache(self.structure, self.room)
            self.steps = {}
            if self.recorder:
                self.prompts = PromptGraphs(self.structure, lambda: counters(cache), self.recorder)

    def prefill(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
        """Empty the cache, and run the whole prompt into it."""
        self.make_room(inputs["input_ids"].shape[1] + 1)
        cache: Any = self.cache
        # Masks hide everything beyond the end, so only the counts have to be reset.
        torch._foreach_zero_(counters(cache))
        # The first prompt of all lets the cache find out its own shape.
        ready = all(layer.is_initialized for layer in cache.layers)
        with self.prompts.in_place() if self.prompts and ready else nullcontext():
            output: Any = self.structure.model(
                **inputs, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        self._keep_position(inputs["input_ids"].shape[1])
        return output.logits[:, -1], cache

    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run one token with the step for the current state of the knobs."""
        state = self.structure.state
        if state not in self.steps:
            tell(f"compiling the decode step for state {len(self.steps) + 1} of the knobs")
            self.steps[state] = self._compiled_step(token)
        return self.steps[state](token)

    def _keep_position(self, n: int) -> None:
        """Store the place of the next token, for models with positions in several dimensions."""
        owner: Any = inner_model(self.structure.model)
        if (offset := getattr(owner, "rope_deltas", None)) is None:
            return
        if self.position is None:
            self.position = torch.empty((3, 1, 1), dtype=torch.long, device=offset.device)
        self.position.copy_(n + offset.reshape(1, 1, 1))

    def _compiled_step(self, token: Tensor) -> Step:
        cache: Any = self.cache
        step = compiled_step(self.structure.model, cache, self.position, self.compile)
        if self.recorder is None:
            return step
        counts = counters(cache) + ([] if self.position is None else [self.position])
        return recorded(step, token, counts, self.recorder)


def _fixed_cache(structure: VlmStructure, n_positions: int) -> StaticCache:
    """A key-value cache of fixed size.

    Raises:
        UserError: if some layers keep other things, or only the latest positions. Then the step
            depends on the length of the output so far, and cannot be one graph.
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
    """A decode step as one graph: from a token to the logits (1 x vocabulary) of the next.

    Args:
        model: the model, with its knobs at the state that is compiled.
        cache: the cache, which holds the prompt.
        position: the token's place in each dimension (3 x 1 x 1), which the step advances; `None`
            for models that count positions only in the cache.
        compile_graph: makes one graph of a function.
    """
    places = {} if position is None else {"position_ids": position}

    # The module itself is not compiled: its hooks are for prefill and would be compiled, too.
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


def recorded(step: Step, token: Tensor, counts: Sequence[Tensor], record: Recorder) -> Step:
    """A step as a replay of its kernels."""
    given = token.clone()
    replay, logits = record(lambda: step(given), counts)

    def run(token: Tensor) -> Tensor:
        given.copy_(token)
        replay()
        result: Tensor = logits
        return result

    return run
