"""Sections `profile` and `quality`: what is measured, and which answers are scored."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from m1.params.numbers import PerWorkload, Seconds, Seed
from m1.schemas.base import Record
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeModeChoice, Weights

# The context of today's models is about as long.
MOST_NEW_TOKENS = 131_072


class ProfileParams(Record):
    """Section `profile`: the measurements, and how often they are made."""

    session: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    """Number of the session. Raise it to measure again although nothing else changed."""
    seed: Seed
    """Seed of the order of requests."""
    max_new_tokens: PerWorkload
    """Largest output length in tokens."""
    decode_mode: DecodeModeChoice = "free"
    """When an output ends. `free`: at an end-of-sequence token. `reference_length`: when it has as
    many tokens as the reference answer. `both` measures E1 and E2 once in each mode. Random weights
    always use `reference_length`."""
    e1_requests: PerWorkload
    """Requests measured at the reference setting (E1). A P99 needs 299."""
    e2_requests: PerWorkload
    """Number of requests measured at each setting of the grid (E2)."""
    observer_requests: PerWorkload
    """Number of requests measured both with and without marks."""
    anchor_requests: PerWorkload
    """Requests measured once in every trial, at the model's native setting. They depend on the data
    alone, so they show how the speed of the machine varies within a run and between runs."""
    n_trials: Annotated[int, Field(ge=2, le=10_000)]
    """Number of rounds over all cells. With rounds, drift affects all cells alike. The trials are
    the units of the bootstrap."""
    n_processes: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of processes that measure the trials, one after the other. Each loads the model, is
    warmed up and compiled anew, and has its own place in memory. So intervals hold what differs
    between processes."""
    warmup_window: Annotated[int, Field(ge=1, le=100_000)]
    """Smallest number of requests in a window. Two windows must agree before measuring starts."""
    warmup_s: Seconds
    """Shortest window in seconds. A window reaches both limits, and ends with a complete pass over
    all cells."""
    warmup_limit: Annotated[int, Field(ge=1, le=10_000)]
    """Number of windows after which warm-up ends even if they do not agree."""
    strict: bool = False
    """Whether the stage fails if a cell could not be measured."""

    @model_validator(mode="after")
    def _a_trial_for_each_process(self) -> Self:
        if self.n_processes > self.n_trials:
            raise ValueError(
                f"n_processes = {self.n_processes}: more than the trials, n_trials = "
                f"{self.n_trials}, so some would measure nothing"
            )
        return self

    def process_of(self, trial: int) -> int:
        """The process that measures a trial. Trials of a process follow each other."""
        return trial * self.n_processes // self.n_trials

    @field_validator("max_new_tokens")
    @classmethod
    def _as_long_as_models_write(cls, n: PerWorkload) -> PerWorkload:
        if max(n.by_workload().values()) > MOST_NEW_TOKENS:
            raise ValueError(f"no output has more than {MOST_NEW_TOKENS} tokens")
        return n

    def requests_asked(self) -> dict[str, PerWorkload]:
        """The number of requests that each part of a run asks for, by the key of the parameter."""
        names = ("e1_requests", "e2_requests", "observer_requests", "anchor_requests")
        return {f"profile.{name}": getattr(self, name) for name in names}

    def most_requests(self, workload: Workload) -> int:
        """The number of a workload's requests that a run measures.

        Each part of a run takes requests from the first on, so the largest number counts.
        """
        return max(asked.of(workload) for asked in self.requests_asked().values())

    def beyond(self, there: Mapping[Workload, int]) -> Iterator[str]:
        """A message for each parameter that asks for more requests than there are."""
        for key, asked in self.requests_asked().items():
            yield from asked.beyond(key, there)


def effective_decode_mode(weights: Weights, decode_mode: DecodeModeChoice) -> DecodeModeChoice:
    """The decode mode that is used. Random weights do not end an output, so the reference does."""
    return "reference_length" if weights == "random" else decode_mode


def why_no_answers(weights: Weights, decode_mode: DecodeModeChoice) -> str | None:
    """A sentence that says why outputs are not answers; `None` if they are answers."""
    if weights == "random":
        return "The weights are random, so answers mean nothing."
    if decode_mode == "reference_length":
        return "Decode is forced to the length of the reference, so outputs are not answers."
    return None


class QualityParams(Record):
    """Section `quality`: requests that are answered in batches, separate from timed requests."""

    n_requests: PerWorkload
    """Requests answered at each setting of the grid."""
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """Requests answered in one batch."""

    def beyond(self, there: Mapping[Workload, int]) -> Iterator[str]:
        """A message for each parameter that asks for more requests than there are."""
        yield from self.n_requests.beyond("quality.n_requests", there)
