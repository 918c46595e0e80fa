"""Section `profile`: the measurement."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, field_validator

from m1.params.numbers import PerWorkload, Seconds, Seed
from m1.schemas.base import Record
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeModeChoice, Weights

# About the context length of present models.
MOST_NEW_TOKENS = 131_072


class ProfileParams(Record):
    """Section `profile`: what to measure, and how often."""

    session: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    """Raise this number to measure again if nothing else changed."""
    seed: Seed
    """Seed of the order of requests."""
    max_new_tokens: PerWorkload
    """Largest output length in tokens."""
    decode_mode: DecodeModeChoice = "free"
    """`free` stops at an end-of-sequence token. `reference_length` writes as many tokens as the
    reference answer has. `both` measures E1 and E2 in both modes. Random weights always use
    `reference_length` only."""
    e1_requests: PerWorkload
    """Number of requests measured at the reference setting (E1). A P99 needs 299."""
    e2_requests: PerWorkload
    """Number of requests measured at each setting of the grid (E2)."""
    observer_requests: PerWorkload
    """Number of requests measured both with and without marks."""
    repeat_requests: PerWorkload
    """Number of requests measured once in every trial. They show how the machine varies."""
    n_trials: Annotated[int, Field(ge=2, le=10_000)]
    """Number of rounds over all cells. Drift then affects all cells equally. Trials are the units
    of the bootstrap."""
    warmup_window: Annotated[int, Field(ge=1, le=100_000)]
    """Smallest number of requests in a window of warm-up. Two windows must agree before
    measuring."""
    warmup_s: Seconds
    """Smallest duration of a window in seconds. A window always consists of whole passes over all
    cells."""
    warmup_limit: Annotated[int, Field(ge=1, le=10_000)]
    """Number of windows after which warm-up ends without agreement."""
    strict: bool = False
    """Whether the stage fails if a cell could not be measured."""

    @field_validator("max_new_tokens")
    @classmethod
    def _as_long_as_models_write(cls, n: PerWorkload) -> PerWorkload:
        if max(n.by_workload().values()) > MOST_NEW_TOKENS:
            raise ValueError(f"no output has more than {MOST_NEW_TOKENS} tokens")
        return n

    def requests_asked(self) -> dict[str, PerWorkload]:
        """Number of requests that each part of a run asks for, by its key."""
        names = ("e1_requests", "e2_requests", "observer_requests", "repeat_requests")
        return {f"profile.{name}": getattr(self, name) for name in names}

    def most_requests(self, workload: Workload) -> int:
        """Number of requests of a workload that a run measures; each part takes the first ones."""
        return max(asked.of(workload) for asked in self.requests_asked().values())

    def beyond(self, there: Mapping[Workload, int]) -> Iterator[str]:
        """A line for each number of requests that is larger than the number available."""
        for key, asked in self.requests_asked().items():
            yield from asked.beyond(key, there)


def effective_decode_mode(weights: Weights, decode_mode: DecodeModeChoice) -> DecodeModeChoice:
    """The mode that decides the length of outputs. Random weights never end an output."""
    return "reference_length" if weights == "random" else decode_mode


def why_no_answers(weights: Weights, decode_mode: DecodeModeChoice) -> str | None:
    """The reason why outputs are not answers, in a sentence; `None` if they are."""
    if weights == "random":
        return "The weights are random, so answers mean nothing."
    if decode_mode == "reference_length":
        return "Decode is forced to the length of the reference, so outputs are not answers."
    return None
