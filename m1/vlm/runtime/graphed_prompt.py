"""Prompts as graphs: vision tower and language model, one graph for each shape of their input.

A host takes longer to launch the kernels of a prompt one by one than a large GPU takes to run them.
If others share the host, this time also varies.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager

from torch import Tensor, nn

from m1.schemas.settings import GraphedModule, GraphExtent
from m1.vlm.runtime.cuda_graph import Recorder
from m1.vlm.runtime.graphed_module import Graphed, Recording, replaced
from m1.vlm.structure import VlmStructure


class PromptGraphs:
    """Graphs of a model's vision tower and language model, recorded when a shape first occurs.

    A module whose code reads from the GPU cannot be one graph. Then each of its blocks is a graph.
    Blocks that cannot be graphs run the library's code.
    """

    def __init__(
        self, structure: VlmStructure, counts: Callable[[], Sequence[Tensor]], record: Recorder
    ) -> None:
        """Record nothing yet.

        Args:
            structure: the structure of the model.
            counts: the counters of the cache that a prompt advances.
            record: makes graphs.
        """
        self.structure = structure
        watched = (*structure.blocks, *structure.experts, *structure.routers)
        self.recording = Recording(record, counts, watched, structure.routers)
        self.vision_tower = self._vision_tower()
        self.language_model = self._language_model()

    def in_place(self) -> AbstractContextManager[None]:
        """Inside the block, the model runs through the graphs."""
        return replaced((self.vision_tower, self.language_model))

    @property
    def extents(self) -> dict[GraphedModule, GraphExtent]:
        """The part of each module that ran as graphs so far."""
        return {
            "vision_tower": self.vision_tower.extent,
            "language_model": self.language_model.extent,
        }

    def _vision_tower(self) -> Graphed:
        tower = self.structure.vision_tower
        whole = self._graphed(
            tower, tuple, *(self._graphed(b, tuple) for b in _longest_list(tower))
        )
        # No clock reads marks inside a graph.
        inside = set(tower.modules())
        whole.fits = not any(projector in inside for projector in self.structure.projectors)
        return whole

    def _language_model(self) -> Graphed:
        blocks = (self._graphed(block, self._top_k) for block in self.structure.blocks)
        return self._graphed(self.structure.language_model, self._state, *blocks)

    def _graphed(
        self, module: nn.Module, state: Callable[[], Hashable], *parts: Graphed
    ) -> Graphed:
        return Graphed(module, parts, state, self.recording)

    def _state(self) -> Hashable:
        return self.structure.state

    def _top_k(self) -> Hashable:
        """The knobs that a block depends on. Which other blocks are active does not matter."""
        return self.structure.state[1]


def _longest_list(tower: nn.Module) -> nn.ModuleList | tuple[()]:
    """The list of a vision tower's blocks."""
    lists = (module for module in tower.modules() if isinstance(module, nn.ModuleList))
    return max(lists, key=len, default=())
