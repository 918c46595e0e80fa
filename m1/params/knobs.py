"""Section `knobs`: the grid."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from m1.params.numbers import PositiveInt
from m1.schemas.base import Record
from m1.schemas.settings import Setting

MOST_VALUES = 64
MOST_SETTINGS = 1000


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 (whatever YAML holds)
    return tuple(value) if isinstance(value, list) else (value,)


# Far above what models have: thousands of visual tokens, hundreds of experts or blocks.
KnobValue = Annotated[int, Field(ge=1, le=100_000)]
KnobValues = Annotated[
    tuple[KnobValue | None, ...],
    Field(max_length=MOST_VALUES),
    BeforeValidator(_as_tuple),
    Field(min_length=1),
]


class KnobParams(Record):
    """Section `knobs`: the values that make up the grid. A single value is a list of one value."""

    vision_tokens: KnobValues
    """Number of visual tokens that the language model receives; null leaves it unchanged."""
    top_k: KnobValues
    """Experts per token; null for models without experts."""
    active_blocks: KnobValues
    """Number of decoder blocks that run; null runs all blocks."""
    block_policy: Literal["evenly_spaced", "first", "importance"] = "evenly_spaced"
    """How the blocks that stay active are chosen."""
    design: Literal["grid", "one_at_a_time"] = "grid"
    """`one_at_a_time` leaves out settings in which several knobs differ from the reference. This is
    enough for sensitivity, and too little for a frontier."""
    calibration_requests: PositiveInt = 16
    """Number of requests of each workload with which `importance` scores the blocks."""

    @field_validator("vision_tokens", "top_k", "active_blocks")
    @classmethod
    def _distinct(cls, values: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(set(values)) < len(values):
            raise ValueError("the values must differ from each other")
        if None in values and len(values) > 1:
            raise ValueError("null must be the only value: it leaves the knob as the model has it")
        return values

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        if (n := len(self._combinations())) > MOST_SETTINGS:
            raise ValueError(
                f"the values make {n} settings, but at most {MOST_SETTINGS} are allowed; leave "
                "some out, or set design to one_at_a_time"
            )
        return self

    def grid(self) -> tuple[Setting, ...]:
        """Every combination of the values, the reference setting first."""
        return tuple(
            Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in self._combinations()
        )

    def _combinations(self) -> list[tuple[int | None, ...]]:
        """The values of each setting, in the order of the knobs."""
        values = (self.vision_tokens, self.top_k, self.active_blocks)
        first, *others = itertools.product(*map(_descending, values))
        most = len(values) if self.design == "grid" else 1
        return [first, *(setting for setting in others if _n_differences(setting, first) <= most)]


def _n_differences(left: Sequence[int | None], right: Sequence[int | None]) -> int:
    """The number of knobs whose values differ."""
    return sum(a != b for a, b in zip(left, right, strict=True))


def _descending(values: tuple[int | None, ...]) -> list[int | None]:
    return sorted(values, key=lambda value: -(value or 0))
