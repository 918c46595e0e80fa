"""The lines of a journal: what a run was asked, and what it has done so far."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from m1.profiling.gpu import GpuSample
from m1.schemas.base import Record
from m1.schemas.profile import FailedCell, Interruption, MeasuredRequest


class JournalKey(Record):
    """All that decides what a row means; runs of different keys never share a journal."""

    origin: dict[str, JsonValue]
    """Model, data, device, arithmetic and libraries."""
    device: str
    """The device itself: of two equal GPUs, which."""
    model: dict[str, JsonValue]
    """Section `model` of the parameters."""
    knobs: dict[str, JsonValue]
    """Section `knobs`."""
    profile: dict[str, JsonValue]
    """Section `profile`, but for what only concerns the exit code."""
    kept_blocks: dict[str, tuple[int, ...]]
    """Number of active blocks to which they are."""
    code: str
    """SHA-256 over the code that measures."""


class Opened(Record):
    """A run began."""

    kind: Literal["opened"] = "opened"
    """Kind of line."""
    key: JournalKey
    """Which run."""
    at: str
    """When (UTC, ISO 8601)."""


class Warm(Record):
    """The model is warm, and measuring begins or resumes."""

    kind: Literal["warm"] = "warm"
    """Kind of line."""
    at: str
    """When (UTC, ISO 8601)."""
    change: float
    """Relative change between the last two windows of warm-up."""
    n_windows: int
    """Windows of warm-up."""


class Row(Record):
    """A request was measured."""

    kind: Literal["row"] = "row"
    """Kind of line."""
    row: MeasuredRequest
    """What was measured."""


class Interrupted(Record):
    """A measurement was interrupted."""

    kind: Literal["interrupted"] = "interrupted"
    """Kind of line."""
    interruption: Interruption
    """Which, and by what."""


class Failed(Record):
    """A cell could not be measured."""

    kind: Literal["failed"] = "failed"
    """Kind of line."""
    cell: FailedCell
    """Which, and why."""


class Look(Record):
    """A look at the machine, at most one a second."""

    kind: Literal["look"] = "look"
    """Kind of line."""
    elapsed_s: float
    """Since measuring began or last went on."""
    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took in that time."""
    core_mhz: float | None
    """Clock of the core at work."""
    gpu: GpuSample | None
    """What the GPU said."""


class Retry(Record):
    """Cells that failed before are to be tried again."""

    kind: Literal["retry"] = "retry"
    """Kind of line."""


Entry = Annotated[
    Opened | Warm | Row | Interrupted | Failed | Look | Retry, Field(discriminator="kind")
]
