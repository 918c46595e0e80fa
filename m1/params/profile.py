"""Section `profile`: measurement."""

from typing import Annotated

from pydantic import Field

from m1.params.numbers import PerWorkload, PositiveFloat, PositiveInt, Seed
from m1.schemas.base import Record
from m1.schemas.settings import DecodeModeChoice, Weights


class ProfileParams(Record):
    """Section `profile`: what is measured and how often."""

    session: int
    """Raise it to measure again where nothing else changed."""
    seed: Seed
    """Seed of the order of requests."""
    max_new_tokens: PerWorkload
    """Longest output in tokens."""
    decode_mode: DecodeModeChoice = "free"
    """`free` stops at an end-of-sequence token; `reference_length` writes as many tokens as the
    reference answer has; `both` measures E1 and E2 once in each. Random weights always take the
    second alone."""
    e1_requests: PerWorkload
    """Requests measured at the reference setting (E1); 299 give a P99."""
    e2_requests: PerWorkload
    """Requests measured at each setting of the grid (E2)."""
    observer_requests: PerWorkload
    """Requests measured both with and without marks."""
    repeat_requests: PerWorkload
    """Requests measured once in every trial, which tells how the machine varies."""
    n_trials: Annotated[int, Field(ge=2)]
    """Rounds over all cells, so that drift hits all cells alike; the units of the bootstrap."""
    warmup_window: PositiveInt
    """Least requests in each of the two windows that must agree before measuring."""
    warmup_s: PositiveFloat
    """Least seconds of a window; both are rounded up to whole passes over all cells."""
    warmup_limit: PositiveInt
    """Windows after which warm-up gives up."""
    strict: bool = False
    """Whether the stage fails where a cell could not be measured."""


def effective_decode_mode(weights: Weights, decode_mode: DecodeModeChoice) -> DecodeModeChoice:
    """How long outputs are: random weights never end one, so the reference decides for them."""
    return "reference_length" if weights == "random" else decode_mode
