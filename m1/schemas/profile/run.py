"""The record of a profile run (`run.json`)."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Count, Fingerprint, FromOne, Record, repeated
from m1.schemas.profile.interruptions import Interruption
from m1.schemas.profile.provenance import Provenance
from m1.schemas.profile.rows import Experiment
from m1.schemas.profile.validity import Validity
from m1.schemas.profile.work import CellWork, DeviceRates
from m1.schemas.requests import ByWorkload, Workload
from m1.schemas.settings import (
    NATIVE,
    DecodeMode,
    DecodeModeChoice,
    EndTokens,
    GraphedModule,
    GraphExtent,
    Setting,
    decode_passes,
)


class RuntimeAgreement(Record):
    """Whether the compiled runtime writes the same tokens as the eager runtime.

    Both runtimes get the tokens that the eager runtime wrote, and predict each next token. Then the
    eager runtime predicts them a second time, but reads all tokens at once. The difference between
    its two predictions comes from rounding.
    """

    n_outputs: int
    """Number of compared outputs, one in each state of the knobs."""
    n_tokens: int
    """Number of compared tokens."""
    n_equal: int
    """Number of tokens on which both runtimes agree."""
    n_equal_at_once: int
    """Number of tokens on which the eager runtime agrees with itself when it reads all at once."""
    largest_gap: float
    """For tokens on which the runtimes do not agree: the largest amount by which the eager logits
    prefer the eager token, in standard deviations of the logits; 0 for a tie."""
    difference: float
    """Root mean square of the differences between compiled and eager logits, in the same unit."""
    difference_at_once: float
    """The same, between the eager logits token by token and those of all tokens read at once."""


def place_of(label: str, mode: DecodeMode) -> str:
    """A setting's label, with a note if outputs had the length of the reference."""
    return f"{label} at reference length" if mode == "reference_length" else label


class FailedCell(Record):
    """A cell that could not be measured. If it already had rows, they are left out."""

    experiment: Experiment
    """Experiment, as in the rows."""
    workload: Workload
    """Workload of the requests."""
    setting: Setting
    """Setting of the cell."""
    decode_mode: DecodeMode
    """Decode mode, as in the rows."""
    reason: str
    """Why it failed, in a line."""
    order: Count
    """Place of the failed request in the order of measurement. If the cell failed in warm-up, the
    place of its first request."""
    n_measured: Count
    """Number of the cell's requests that were measured before the failure."""

    @property
    def told(self) -> str:
        """The cell and the reason, in a line."""
        return f"{self.experiment} {self.workload} {self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """The setting, with a note if outputs had the length of the reference."""
        return place_of(self.setting.label, self.decode_mode)


class ProfileRun(Record):
    """The record of a profile run (`run.json`)."""

    schema_version: Literal[2] = 2
    """Version of this layout."""
    provenance: Provenance
    """The origin of the run: model, data, device, and software."""
    validity: Validity
    """Whether the run is valid."""
    decode_mode: DecodeModeChoice
    """Where outputs end. `free`: at an end-of-sequence token. `reference_length`: at the length of
    the reference. `both`: E1 and E2 were measured once in each mode."""
    max_new_tokens: ByWorkload[FromOne]
    """Longest output in tokens."""
    reference: Setting
    """The reference setting."""
    grid: tuple[Setting, ...]
    """All settings, the reference first."""
    block_policy: str
    """How active blocks were chosen if not all blocks were active."""
    kept_blocks: dict[str, tuple[int, ...]]
    """For each number of active blocks, the blocks that were active."""
    n_processes: FromOne = 1
    """Number of processes that measured the trials, one after the other."""
    n_rows: Count
    """Number of measured requests."""
    rows_fingerprint: Fingerprint | None = None
    """Fingerprint of the table of rows; null in records of earlier versions."""
    device_rates: DeviceRates
    """The measured speed of the device."""
    work: tuple[CellWork, ...]
    """The work of one request in each cell of E2. A cell that failed has none."""
    runtime_agreement: RuntimeAgreement | None
    """Comparison of the compiled runtime with the eager one; null in the eager runtime."""
    prompt_graphs: dict[GraphedModule, GraphExtent] | None = None
    """How much of a prompt ran as recorded graphs; null if prompts are not recorded."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured, in the order in which they failed."""
    interruptions: tuple[Interruption, ...] | None = None
    """Measurements that were interrupted, in their order; null if this was not recorded."""
    end_tokens: EndTokens | None = None
    """The tokens that end an output in mode `free`; null if this was not recorded."""

    @model_validator(mode="after")
    def _of_one_grid(self) -> Self:
        if self.grid[:1] != (self.reference,):
            raise ValueError(f"the first setting of grid is not reference, {self.reference.label}")
        if wrong := next(self._mistakes(), None):
            raise ValueError(wrong)
        return self

    def _mistakes(self) -> Iterator[str]:
        """Contradictions in the record, a clause for each."""
        if twice := repeated(setting.label for setting in self.grid):
            yield f"grid has the setting {twice} more than once"
        if twice := repeated((cell.workload, cell.setting.label) for cell in self.work):
            yield f"work has the cell {twice} more than once"
        grid, modes = set(self.grid), decode_passes(self.decode_mode)
        for work in self.work:
            if work.setting not in grid:
                yield f"work is counted at {work.setting.label}, which is not in grid"
        for cell in self.failed:
            anchor = cell.experiment == "anchor"
            if cell.setting not in ({NATIVE} if anchor else grid):
                yield f"a cell failed at {cell.setting.label}, which is not in grid"
            if cell.decode_mode not in modes:
                yield f"a cell failed in mode {cell.decode_mode}, in which nothing was measured"
            if cell.experiment not in ("e2", "anchor") and cell.setting != self.reference:
                yield f"{cell.experiment} failed at {cell.setting.label}, not at the reference"
            if cell.experiment == "e2" and cell.setting == self.reference:
                yield "e2 failed at the reference, so there is nothing to compare with"

    @property
    def measured_grid(self) -> tuple[Setting, ...]:
        """The settings that E2 measured in both workloads, the reference first.

        If a setting failed in one workload, it is left out of both. So the workloads are compared
        over the same settings.
        """
        failed = {cell.setting for cell in self.failed if cell.experiment == "e2"}
        return tuple(setting for setting in self.grid if setting not in failed)
