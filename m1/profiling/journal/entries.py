"""The lines of a journal: the settings of a run, and what it has done so far."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from m1.profiling.machine.gpu import GpuSample
from m1.schemas.base import Record
from m1.schemas.profile import FailedCell, Interruption, MeasuredRequest, RuntimeAgreement


class JournalKey(Record):
    """Everything that decides what a row means. Runs with different keys never share a journal."""

    origin: dict[str, JsonValue]
    """Model, data, device, arithmetic and libraries."""
    device: str
    """The device itself, which distinguishes two GPUs of the same kind."""
    model: dict[str, JsonValue]
    """Section `model` of the parameters."""
    knobs: dict[str, JsonValue]
    """Section `knobs`."""
    profile: dict[str, JsonValue]
    """Section `profile`, without the settings that only change the exit code."""
    kept_blocks: dict[str, tuple[int, ...]]
    """For each number of active blocks, the blocks that run."""
    code: str
    """SHA-256 of the code that measures."""


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
    process: int = 0
    """Which of the processes that measure the trials."""


class Agreed(Record):
    """The compiled runtime of a process was compared with the eager one."""

    kind: Literal["agreed"] = "agreed"
    """Kind of line."""
    agreement: RuntimeAgreement
    """Result of the comparison."""


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
    """The measurement, and the cause of the interruption."""


class Failed(Record):
    """A cell could not be measured."""

    kind: Literal["failed"] = "failed"
    """Kind of line."""
    cell: FailedCell
    """The cell, and the reason."""


class Look(Record):
    """A look at the machine, at most once a second."""

    kind: Literal["look"] = "look"
    """Kind of line."""
    elapsed_s: float
    """Time since measuring began or last resumed."""
    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took during `elapsed_s`."""
    core_mhz: float | None
    """Clock of the core that does the work."""
    gpu: GpuSample | None
    """What the GPU reported."""


class Retry(Record):
    """The next run will try again the cells that failed before."""

    kind: Literal["retry"] = "retry"
    """Kind of line."""


Entry = Annotated[
    Opened | Warm | Agreed | Row | Interrupted | Failed | Look | Retry, Field(discriminator="kind")
]
