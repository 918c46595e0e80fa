"""Section `knobs`: the grid."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from m1.params.numbers import PositiveInt
from m1.schemas.base import Record
from m1.schemas.settings import KNOBS, Setting


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 (whatever YAML holds)
    return tuple(value) if isinstance(value, list) else (value,)


KnobValues = Annotated[
    tuple[PositiveInt | None, ...], BeforeValidator(_as_tuple), Field(min_length=1)
]


class KnobParams(Record):
    """Section `knobs`: the values that make up the grid; a scalar is a list of one."""

    vision_tokens: KnobValues
    """Visual tokens the language model sees; null leaves them as they are."""
    top_k: KnobValues
    """Experts per token; null on models without experts."""
    active_blocks: KnobValues
    """Decoder blocks executed; null leaves them as they are."""
    block_policy: Literal["evenly_spaced", "first", "importance"] = "evenly_spaced"
    """Which blocks stay."""
    design: Literal["grid", "one_at_a_time"] = "grid"
    """`one_at_a_time` leaves out settings in which several knobs are off the reference: enough for
    sensitivity, too little for a frontier."""
    calibration_requests: PositiveInt = 16
    """Requests of each workload by which `importance` scores the blocks."""

    @field_validator("vision_tokens", "top_k", "active_blocks")
    @classmethod
    def _distinct(cls, values: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(set(values)) < len(values):
            raise ValueError("the values must differ from each other")
        if None in values and len(values) > 1:
            raise ValueError("null stands alone: it leaves the knob as the model has it")
        return values

    def grid(self) -> tuple[Setting, ...]:
        """Every combination of the values, the reference setting first."""
        grid = [
            Setting(vision_tokens=v, top_k=k, active_blocks=b)
            for v in _descending(self.vision_tokens)
            for k in _descending(self.top_k)
            for b in _descending(self.active_blocks)
        ]
        most = len(KNOBS) if self.design == "grid" else 1
        return tuple(one for one in grid if _n_differences(one, grid[0]) <= most)


def _n_differences(one: Setting, other: Setting) -> int:
    """Knobs whose values differ."""
    return sum(getattr(one, knob) != getattr(other, knob) for knob in KNOBS)


def _descending(values: tuple[int | None, ...]) -> list[int | None]:
    return sorted(values, key=lambda value: -(value or 0))
