"""Marks at the stage boundaries of a model, and what was observed between them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from m1.errors import UserError
from m1.schemas.profile import Stage
from m1.vlm.knobs.pooling import count_features, intercepted_features
from m1.vlm.runtime.shapes import INTEGERS
from m1.vlm.structure import VlmStructure

START, FIRST_TOKEN, LAST_TOKEN = "start", "first_token", "last_token"
VISION_END, PROJECTOR_START, PROJECTOR_END = "vision_end", "projector_start", "projector_end"
# A share of the whole: differences between readings of a clock are not exact.
ROUNDING = 1e-9

Marks = Sequence[tuple[str, float]]
"""Name and reading of each mark, in the order taken."""


class Marker(Protocol):
    """Takes named marks: a clock, or a count of what was done."""

    def mark(self, name: str) -> None:
        """Note that something happened now."""


@dataclass
class Observed:
    """What reached the language model, as observed by hooks."""

    first_token_known: bool = False
    """Whether the prompt is done. Later calls of modules belong to decode and are not observed."""
    n_projected: int = 0
    """Visual features that left the projectors."""
    n_merged: int | None = None
    """Visual features that the model merged into the prompt; `None` if it does not report this."""
    routings: list[int | Tensor] = field(default_factory=list)
    """For each module that sends tokens to experts: experts per token, or scores that show this.
    The scores are evaluated after the request."""
    n_blocks: int = 0
    """Decoder blocks that ran in prefill."""

    @property
    def n_visual_tokens(self) -> int:
        """Visual tokens that reached the language model."""
        return self.n_projected if self.n_merged is None else self.n_merged

    @property
    def top_k(self) -> int | None:
        """Experts per token; `None` without experts or if routers differ."""
        numbers = {
            routing if isinstance(routing, int) else n_scored(routing) for routing in self.routings
        }
        return numbers.pop() if len(numbers) == 1 else None


def by_stage(marks: Marks, model: str) -> dict[Stage, float]:
    """Divide what a clock counted between the stages. The stages sum to the whole.

    Projector calls inside the vision tower count as projector, not as vision. The time from the
    tower's end to the projector's end counts as projector, too. If the tower or the projector is
    called again after the first token, this call is a part of decode.

    Args:
        marks: readings, for example in ms: start, vision and projector, first token, last token.
        model: the name of the model, for error messages.

    Raises:
        UserError: if the tower was not called for the prompt, or a stage would be negative.
    """
    first = [name for name, _ in marks].index(FIRST_TOKEN)
    prompt, read = marks[: first + 1], dict(marks)
    towers = [reading for name, reading in prompt if name == VISION_END]
    if not towers:
        raise UserError(
            f"{model}: its vision tower was not called before the first token, so there is no "
            "vision stage to measure: give requests with images, or another model.source"
        )
    start, vision_end, calls = read[START], towers[-1], _projector_calls(prompt)
    inside = sum(min(end, vision_end) - begun for begun, end in calls if begun < vision_end)
    observed_end = max([vision_end, *(end for _, end in calls)])
    stages: dict[Stage, float] = {
        "vision": vision_end - start - inside,
        "projector": observed_end - vision_end + inside,
        "prefill": read[FIRST_TOKEN] - observed_end,
        "decode": read[LAST_TOKEN] - read[FIRST_TOKEN],
    }
    whole = read[LAST_TOKEN] - start
    return {name: _not_negative(name, part, whole, model) for name, part in stages.items()}


def _not_negative(stage: Stage, part: float, whole: float, model: str) -> float:
    if part < -ROUNDING * abs(whole):
        raise UserError(
            f"{model}: its stage {stage} comes out negative ({part:.3g} of {whole:.3g} in total). "
            "Its modules are not called in the order of the stages: M1 cannot measure this model"
        )
    return max(0.0, part)


def _projector_calls(marks: Marks) -> list[tuple[float, float]]:
    """Readings at the start and end of every projector call. A call inside another is left out.

    Raises:
        ValueError: if a call has no end.
    """
    calls: list[tuple[float, float]] = []
    begun: list[float] = []
    for name, reading in marks:
        if name == PROJECTOR_START:
            begun.append(reading)
        elif name == PROJECTOR_END:
            start = begun.pop()
            if not begun:
                calls.append((start, reading))
    return calls


def mark_first_token(clock: Marker, observed: Observed) -> None:
    """Mark that the first token is known. After this nothing is observed."""
    clock.mark(FIRST_TOKEN)
    observed.first_token_known = True


@contextmanager
def marked(structure: VlmStructure, clock: Marker) -> Iterator[Observed]:
    """Inside the block, mark the tower's end and each projector call, and observe what passes."""
    observed = Observed()

    def merged(output: Any) -> Any:  # noqa: ANN401 (a model output)
        if not observed.first_token_known:
            observed.n_merged = count_features(getattr(output, "pooler_output", None)) or None
        return output

    with ExitStack() as undo:
        for hook in _boundary_hooks(structure, clock, observed):
            undo.callback(hook.remove)
        undo.enter_context(intercepted_features(structure, merged))
        for first in _first_calls(structure, observed):
            undo.callback(first.hook.remove)
        yield observed


def _boundary_hooks(structure: VlmStructure, clock: Marker, observed: Observed) -> Iterator[Any]:
    # Some models call these modules again for each token (Gemma 3n embeds soft tokens so).
    def vision_done(*_: object) -> None:
        if not observed.first_token_known:
            clock.mark(VISION_END)

    def projector_begun(*_: object) -> None:
        if not observed.first_token_known:
            clock.mark(PROJECTOR_START)

    def projector_done(_: nn.Module, __: object, features: object) -> None:
        if not observed.first_token_known:
            clock.mark(PROJECTOR_END)
            observed.n_projected += count_features(features)

    yield structure.vision_tower.register_forward_hook(vision_done)
    for projector in structure.projectors:
        yield projector.register_forward_pre_hook(projector_begun)
        yield projector.register_forward_hook(projector_done)


def _first_calls(structure: VlmStructure, observed: Observed) -> Iterator["FirstCall"]:
    def block_ran(_: object) -> None:
        observed.n_blocks += 1

    def routed(tensors: tuple[Any, ...]) -> None:
        routing = _routing_in(tensors)
        if routing is not None:
            observed.routings.append(routing)

    yield from (FirstCall(block, block_ran) for block in structure.blocks)
    yield from (FirstCall(experts, routed) for experts in structure.experts)
    yield from (FirstCall(router, routed, "output") for router in structure.routers)


class FirstCall:
    """Looks at one module's first call only, so that decoding runs without hooks."""

    def __init__(
        self,
        module: nn.Module,
        look: Callable[[tuple[Any, ...]], None],
        at: Literal["input", "output"] = "input",
    ) -> None:
        """Hook onto the module; `look` gets its input or its output."""
        self.look = look
        if at == "input":
            self.hook = module.register_forward_pre_hook(self.see_input)
        else:
            self.hook = module.register_forward_hook(self.see_output)

    def see_input(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        """Look at the arguments, once."""
        self.hook.remove()
        self.look(args)

    def see_output(self, _: nn.Module, __: object, output: object) -> None:
        """Look at the result, once."""
        self.hook.remove()
        self.look(output if isinstance(output, tuple) else (output,))


def _routing_in(tensors: tuple[Any, ...]) -> int | Tensor | None:
    """Find how many experts a token is sent to, in the input of experts or the output of routers.

    Most families pass the indices of the chosen experts (tokens x experts per token). Then the
    number is known at once, and no tensor is kept. In other families every expert sees every token.
    Their routers return scores, which are zero for experts that are not chosen, and logits of the
    same shape.
    """
    given = [tensor for tensor in tensors if isinstance(tensor, Tensor)]
    indices = [tensor for tensor in given if tensor.dtype in INTEGERS]
    if indices:
        return int(indices[-1].shape[-1])
    if len(given) == 2 and given[0].shape == given[1].shape:
        return given[0]
    return None


def n_scored(scores: Tensor) -> int:
    """Experts per token, from their scores (tokens x experts)."""
    return int((scores != 0).sum(-1).max())
