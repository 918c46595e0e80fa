"""Marks at the stage boundaries of a model, and what was observed between them."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from m1.profiling.clocks import Clock
from m1.vlm.structure import VlmStructure

START, FIRST_TOKEN, LAST_TOKEN = "start", "first_token", "last_token"
VISION_END, PROJECTOR_START, PROJECTOR_END = "vision_end", "projector_start", "projector_end"


@dataclass(frozen=True)
class StageTimes:
    """The four stages of one request in ms; they sum to the time from start to last token."""

    vision_ms: float
    projector_ms: float
    prefill_ms: float
    decode_ms: float

    @property
    def sum_ms(self) -> float:
        """All four together."""
        return self.vision_ms + self.projector_ms + self.prefill_ms + self.decode_ms


@dataclass
class Observed:
    """What reached the language model, as seen by hooks."""

    n_visual_tokens: int = 0
    experts_per_token: set[int] = field(default_factory=set)

    @property
    def top_k(self) -> int | None:
        """Experts per token; `None` without experts or where routers differ."""
        return next(iter(self.experts_per_token)) if len(self.experts_per_token) == 1 else None


def stage_times(marks: list[tuple[str, float]]) -> StageTimes:
    """Attribute the time between marks to stages.

    Projector calls inside the vision tower count as projector, not as vision; the time from
    the tower's end to the projector's end is the projector's as well.

    Args:
        marks: name and time in ms, in the order taken: start, vision and projector marks, first
            token, last token.
    """
    times = dict(marks)
    vision_end = times[VISION_END]
    calls = projector_calls(marks)
    inside = sum(end - start for start, end in calls if start < vision_end)
    seen = max([vision_end, *(end for _, end in calls)])
    return StageTimes(
        vision_ms=vision_end - times[START] - inside,
        projector_ms=seen - vision_end + inside,
        prefill_ms=times[FIRST_TOKEN] - seen,
        decode_ms=times[LAST_TOKEN] - times[FIRST_TOKEN],
    )


def projector_calls(marks: list[tuple[str, float]]) -> list[tuple[float, float]]:
    """Start and end of every projector call in ms."""
    starts = [time for name, time in marks if name == PROJECTOR_START]
    ends = [time for name, time in marks if name == PROJECTOR_END]
    return list(zip(starts, ends, strict=True))


@contextmanager
def marked(structure: VlmStructure, clock: Clock) -> Iterator[Observed]:
    """Mark the ends of vision tower and projector, and observe what passes, until left."""
    observed = Observed()
    with ExitStack() as undo:
        for hook in _boundary_hooks(structure, clock, observed):
            undo.callback(hook.remove)
        for router in structure.routers:
            undo.callback(FirstRouting(router, observed).hook.remove)
        yield observed


def _boundary_hooks(structure: VlmStructure, clock: Clock, observed: Observed) -> Iterator[Any]:
    def vision_done(*_: object) -> None:
        clock.mark(VISION_END)

    def projector_begun(*_: object) -> None:
        clock.mark(PROJECTOR_START)

    def projector_done(_: nn.Module, __: object, features: Tensor) -> None:
        clock.mark(PROJECTOR_END)
        observed.n_visual_tokens += math.prod(features.shape[:-1])

    yield structure.vision_tower.register_forward_hook(vision_done)
    for projector in structure.projectors:
        yield projector.register_forward_pre_hook(projector_begun)
        yield projector.register_forward_hook(projector_done)


class FirstRouting:
    """Looks at one router's first call only, so that decoding runs without hooks."""

    def __init__(self, router: nn.Module, observed: Observed) -> None:
        """Hook onto the router."""
        self.observed = observed
        self.hook = router.register_forward_hook(self)

    def __call__(self, _: nn.Module, __: object, output: tuple[Tensor, ...]) -> None:
        """Note how many experts each token was routed to."""
        self.observed.experts_per_token.add(output[-1].shape[-1])
        self.hook.remove()
