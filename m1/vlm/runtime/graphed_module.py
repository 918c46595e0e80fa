"""A module that runs as a graph for each shape of its input."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import Cache

from m1.schemas.settings import GraphExtent
from m1.vlm.runtime.cuda_graph import Recorder, Replay
from m1.vlm.runtime.shapes import INTEGERS, is_short, shape_of


@dataclass(frozen=True)
class Recording:
    """How modules are recorded."""

    record: Recorder
    """Makes graphs."""
    counts: Callable[[], Sequence[Tensor]]
    """The counters of the cache that a run advances."""
    watched: tuple[nn.Module, ...]
    """Modules whose hooks are called on replay as a run would call them."""
    routers: tuple[nn.Module, ...]
    """Modules whose hooks also look at the output."""
    shapes: Any = field(default_factory=WeakTensorKeyDictionary)
    """Shapes and values that were already read, since several blocks get the same tensor."""


@dataclass(frozen=True)
class Call:
    """A call of a module inside a graph, with what hooks look at."""

    module: nn.Module
    args: tuple[Any, ...]
    output: Any

    def show(self) -> None:
        """Call the hooks that the module has now."""
        for before in list(self.module._forward_pre_hooks.values()):
            before(self.module, self.args)
        for after in list(self.module._forward_hooks.values()):
            after(self.module, self.args, self.output)


@dataclass(frozen=True)
class Graph:
    """A module recorded for one shape of its input."""

    given: list[Any]
    """The input as a flat list. The kernels read its tensors; the host has read the short ones."""
    replay: Replay
    result: list[Any]
    """The output as a flat list. The kernels write its tensors."""
    build: pytree.TreeSpec
    """How the output is built."""
    calls: tuple[Call, ...]
    """The calls of watched modules inside."""

    def run(self, leaves: Sequence[Any]) -> Any:  # noqa: ANN401 (as the module returns)
        """The output for another input of the same shape."""
        for own, leaf in zip(self.given, leaves, strict=True):
            if isinstance(own, Tensor) and own.device == leaf.device:
                own.copy_(leaf)
        self.replay()
        for call in self.calls:
            call.show()
        return pytree.tree_unflatten(self.result, self.build)


class Graphed:
    """Runs a module through graphs. If it cannot be recorded, its parts are."""

    def __init__(
        self,
        module: nn.Module,
        parts: Sequence["Graphed"],
        state: Callable[[], Hashable],
        recording: Recording,
    ) -> None:
        """Record nothing yet.

        Args:
            module: the module to run.
            parts: the parts of the module; a module without parts may read short tensors on the
                host.
            state: the state of the knobs that the module depends on.
            recording: how it is recorded.
        """
        self.module, self.parts, self.state, self.recording = module, parts, state, recording
        self.native = module.forward
        self.graphs: dict[Hashable, Graph] = {}
        self.fits = True

    @property
    def extent(self) -> GraphExtent:
        """The part of the module that runs as graphs, over all shapes so far."""
        if self.fits and self.graphs:
            return "whole"
        return "blocks" if any(part.graphs for part in self.parts) else "none"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the module takes)
        """The output of the module. Its tensors are valid until the next call."""
        leaves, build = pytree.tree_flatten((args, kwargs), is_leaf=_is_cache)
        if graph := self._graph(leaves, build):
            return graph.run(leaves)
        with replaced(self.parts):
            return self.native(*args, **kwargs)

    def _graph(self, leaves: Sequence[Any], build: pytree.TreeSpec) -> Graph | None:
        """The graph for an input's shape; `None` if the module cannot be recorded."""
        if not self.fits:
            return None
        key = self.state(), build, *map(self._kind, leaves)
        if key not in self.graphs:
            try:
                self.graphs[key] = self._recorded(leaves, build)
            except torch.OutOfMemoryError:
                raise
            except Exception:  # an error of the module itself is raised again without graphs
                self.fits = False
                return None
        return self.graphs[key]

    def _kind(self, leaf: Any) -> Hashable:  # noqa: ANN401 (of any input)
        """What must be equal to use a graph again: a tensor's shape, or the value itself."""
        if not isinstance(leaf, Tensor):
            return id(leaf) if _is_cache(leaf) else leaf
        if not self._is_read(leaf):
            return leaf.dtype, leaf.shape
        shapes = self.recording.shapes
        if leaf not in shapes:
            shapes[leaf] = shape_of(leaf)
        kind: Hashable = shapes[leaf]
        return kind

    def _is_read(self, tensor: Tensor) -> bool:
        """Whether the host may read a tensor, as attention over several images reads lengths."""
        return not self.parts and is_short(tensor)

    def _recorded(self, leaves: Sequence[Any], build: pytree.TreeSpec) -> Graph:
        given = [self._own(leaf) for leaf in leaves]
        calls: list[Call] = []

        def run() -> Any:  # noqa: ANN401 (as the module returns)
            calls.clear()
            args, kwargs = pytree.tree_unflatten(given, build)
            return self.native(*args, **kwargs)

        with self._noting(calls):
            replay, output = self.recording.record(run, self.recording.counts())
        return Graph(given, replay, *pytree.tree_flatten(output, is_leaf=_is_cache), tuple(calls))

    def _own(self, leaf: Any) -> Any:  # noqa: ANN401 (of any input)
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.cpu() if self._is_read(leaf) else leaf.clone()

    @contextmanager
    def _noting(self, calls: list[Call]) -> Iterator[None]:
        """Note the calls of watched modules inside, with inputs or outputs that show experts."""

        def note(module: nn.Module, args: tuple[Any, ...], output: object) -> None:
            routed = _routed(output) if module in self.recording.routers else None
            calls.append(Call(module, _indices(args), routed))

        inside = set(self.module.modules()) - {self.module}
        with ExitStack() as undo:
            for module in self.recording.watched:
                if module in inside:
                    undo.callback(module.register_forward_hook(note).remove)
            yield


@contextmanager
def replaced(parts: Sequence[Graphed]) -> Iterator[None]:
    """Inside the block, modules run through their graphs."""
    before = [vars(part.module).get("forward") for part in parts]
    try:
        for part in parts:
            vars(part.module)["forward"] = part
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            if own is None:
                del vars(part.module)["forward"]
            else:
                vars(part.module)["forward"] = own


def _is_cache(leaf: object) -> bool:
    return isinstance(leaf, Cache)


def _routed(output: object) -> tuple[Any, ...]:
    """The part of a router's output that has the chosen experts, or the scores of all experts."""
    outputs = output if isinstance(output, tuple) else (output,)
    return _indices(outputs) or outputs


def _indices(tensors: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(t for t in tensors if isinstance(t, Tensor) and t.dtype in INTEGERS)
