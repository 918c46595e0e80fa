"""Section `profile`: measurement."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, field_validator

from m1.params.numbers import PerWorkload, Seconds, Seed
from m1.schemas.base import Record
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeModeChoice, Weights

# As long as the contexts of today's models.
MOST_NEW_TOKENS = 131_072


class ProfileParams(Record):
    """Section `profile`: what is measured and how often."""

    session: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
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
    n_trials: Annotated[int, Field(ge=2, le=10_000)]
    """Rounds over all cells, so that drift hits all cells alike; the units of the bootstrap."""
    warmup_window: Annotated[int, Field(ge=1, le=100_000)]
    """Least requests in each of the two windows that must agree before measuring."""
    warmup_s: Seconds
    """Least seconds of a window; both are rounded up to whole passes over all cells."""
    warmup_limit: Annotated[int, Field(ge=1, le=10_000)]
    """Windows after which warm-up gives up."""
    strict: bool = False
    """Whether the stage fails where a cell could not be measured."""

    @field_validator("max_new_tokens")
    @classmethod
    def _as_long_as_models_write(cls, n: PerWorkload) -> PerWorkload:
        if max(n.by_workload().values()) > MOST_NEW_TOKENS:
            raise ValueError(f"no output has more than {MOST_NEW_TOKENS} tokens")
        return n

    def requests_asked(self) -> dict[str, PerWorkload]:
        """How many requests each part of a run asks for, by the key that says so."""
        names = ("e1_requests", "e2_requests", "observer_requests", "repeat_requests")
        return {f"profile.{name}": getattr(self, name) for name in names}

    def most_requests(self, workload: Workload) -> int:
        """Requests of a workload that some part of a run measures: it takes the first."""
        return max(asked.of(workload) for asked in self.requests_asked().values())

    def beyond(self, there: Mapping[Workload, int]) -> Iterator[str]:
        """Where more requests are asked for than there are."""
        for key, asked in self.requests_asked().items():
            yield from asked.beyond(key, there)


def effective_decode_mode(weights: Weights, decode_mode: DecodeModeChoice) -> DecodeModeChoice:
    """How long outputs are: random weights never end one, so the reference decides for them."""
    return "reference_length" if weights == "random" else decode_mode


def why_no_answers(weights: Weights, decode_mode: DecodeModeChoice) -> str | None:
    """A sentence about what keeps outputs from being answers, if anything does."""
    if weights == "random":
        return "The weights are random, so answers mean nothing."
    if decode_mode == "reference_length":
        return "Decode is forced to the length of the reference, so outputs are not answers."
    return None
