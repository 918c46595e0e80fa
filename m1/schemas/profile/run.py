"""The record of a profile run (`run.json`)."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record, repeated
from m1.schemas.profile.interruptions import Interruption
from m1.schemas.profile.provenance import Provenance
from m1.schemas.profile.rows import Experiment
from m1.schemas.profile.validity import Validity
from m1.schemas.profile.work import CellWork, DeviceRates
from m1.schemas.quantities import Count, Fingerprint, FromOne
from m1.schemas.requests import ByWorkload, Workload
from m1.schemas.settings import (
    DecodeMode,
    DecodeModeChoice,
    EndTokens,
    GraphedModule,
    GraphExtent,
    Setting,
    decode_passes,
)


class RuntimeAgreement(Record):
    """Whether the compiled runtime writes what the eager one does.

    Both get the same tokens, those that the eager runtime wrote; each says which would come next.
    The eager runtime does so a second time, reading all of them at once: what that changes is
    rounding.
    """

    n_outputs: int
    """Outputs compared, one in each state of the knobs."""
    n_tokens: int
    """Tokens compared."""
    n_equal: int
    """Tokens on which both agree."""
    n_equal_at_once: int
    """Tokens on which the eager runtime agrees with itself, reading them at once."""
    largest_gap: float
    """Where both do not agree: by how much the eager logits prefer their own token, at the most, in
    standard deviations of the logits; 0 for a tie."""
    difference: float
    """Root mean square of the differences of compiled and eager logits, likewise."""
    difference_at_once: float
    """The same of the eager logits and those of all tokens read at once."""


def place_of(label: str, mode: DecodeMode) -> str:
    """A setting's label, and that outputs had a fixed length where they had."""
    return f"{label} at reference length" if mode == "reference_length" else label


class FailedCell(Record):
    """A cell that could not be measured; its rows, if it had some, are left out."""

    experiment: Experiment
    """As in the rows."""
    workload: Workload
    """Whose requests."""
    setting: Setting
    """At which setting."""
    decode_mode: DecodeMode
    """As in the rows."""
    reason: str
    """What went wrong, in a line."""
    order: Count
    """Place in the order of measurement of the request that failed; in warm-up, of the cell's
    first."""
    n_measured: Count
    """Requests of the cell that were measured before."""

    @property
    def told(self) -> str:
        """Which cell, and why, in a line."""
        return f"{self.experiment} {self.workload} {self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """The setting, and that outputs had a fixed length where they had."""
        return place_of(self.setting.label, self.decode_mode)


class ProfileRun(Record):
    """The record of a profile run (`run.json`)."""

    schema_version: Literal[2] = 2
    """Version of this layout."""
    provenance: Provenance
    """What was measured, on what."""
    validity: Validity
    """Whether it may be believed."""
    decode_mode: DecodeModeChoice
    """`free`: up to an end-of-sequence token; `reference_length`: as long as the reference; `both`:
    E1 and E2 once in each."""
    max_new_tokens: ByWorkload[FromOne]
    """Longest output in tokens."""
    reference: Setting
    """The reference setting."""
    grid: tuple[Setting, ...]
    """All settings, the reference first."""
    block_policy: str
    """How blocks were chosen where fewer were active."""
    kept_blocks: dict[str, tuple[int, ...]]
    """Number of active blocks to which they were."""
    n_rows: Count
    """Measured requests."""
    rows_fingerprint: Fingerprint | None = None
    """Of the table of rows; null in records of earlier versions."""
    device_rates: DeviceRates
    """What the device can do."""
    work: tuple[CellWork, ...]
    """The work of one request in each cell of E2; a cell that fails has none."""
    runtime_agreement: RuntimeAgreement | None
    """Compiled against eager tokens; null in the eager runtime."""
    prompt_graphs: dict[GraphedModule, GraphExtent] | None = None
    """How much of a prompt ran as recorded graphs; null where prompts are not recorded."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured, in the order in which they failed."""
    interruptions: tuple[Interruption, ...] | None = None
    """Measurements that were interrupted, in their order; null where that was not recorded."""
    end_tokens: EndTokens | None = None
    """Which tokens ended outputs that may end; null where that was not recorded."""

    @model_validator(mode="after")
    def _of_one_grid(self) -> Self:
        if self.grid[:1] != (self.reference,):
            raise ValueError(f"the first setting of grid is not reference, {self.reference.label}")
        if wrong := next(self._mistakes(), None):
            raise ValueError(wrong)
        return self

    def _mistakes(self) -> Iterator[str]:
        """What cannot be in one run, a clause each."""
        if twice := repeated(setting.label for setting in self.grid):
            yield f"grid has the setting {twice} more than once"
        if twice := repeated((one.workload, one.setting.label) for one in self.work):
            yield f"work has the cell {twice} more than once"
        grid, modes = set(self.grid), decode_passes(self.decode_mode)
        for work in self.work:
            if work.setting not in grid:
                yield f"work is counted at {work.setting.label}, which is not in grid"
        for cell in self.failed:
            if cell.setting not in grid:
                yield f"a cell failed at {cell.setting.label}, which is not in grid"
            if cell.decode_mode not in modes:
                yield f"a cell failed in mode {cell.decode_mode}, in which nothing was measured"
            if cell.experiment != "e2" and cell.setting != self.reference:
                yield f"{cell.experiment} failed at {cell.setting.label}, not at the reference"
            if cell.experiment == "e2" and cell.setting == self.reference:
                yield "e2 failed at the reference, so there is nothing to compare with"

    @property
    def measured_grid(self) -> tuple[Setting, ...]:
        """The settings that E2 measured in both workloads, the reference first.

        A setting that failed in one workload is left out of both, so that the workloads are
        contrasted over the same settings.
        """
        failed = {cell.setting for cell in self.failed if cell.experiment == "e2"}
        return tuple(setting for setting in self.grid if setting not in failed)
