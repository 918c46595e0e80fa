"""What the profile stage writes: one row per measured request, and the record of the run."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeMode, DecodeModeChoice, Runtime, Setting, Weights

Stage = Literal["vision", "projector", "prefill", "decode"]
STAGES: tuple[Stage, ...] = ("vision", "projector", "prefill", "decode")


class MeasuredRequest(Record):
    """One request at one setting: asked, observed, timed, answered."""

    experiment: Literal["e1", "e2", "observer", "repeat"]
    """`e1` at the reference setting, `e2` over the grid, `observer` with and without marks,
    `repeat` the same requests in every trial."""
    order: int
    """Place in the order of measurement, from 0."""
    trial: int
    """Round over all cells, from 0; the unit of the bootstrap."""
    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    image_id: str
    """Its image."""
    vision_tokens: int | None
    """Setting asked for; null leaves the model as it is."""
    top_k: int | None
    """Setting asked for."""
    active_blocks: int | None
    """Setting asked for."""
    decode_mode: DecodeMode
    """When the output ends: `free` at an end-of-sequence token, `reference_length` at the length of
    the reference answer."""
    marked: bool
    """Whether stage boundaries were marked; the stage times are null where not."""
    planned_vision_tokens: int
    """Visual tokens the prompt has places for: those asked for, or the nearest possible."""
    observed_vision_tokens: int | None
    """Visual tokens that reached the language model; null in rows without marks."""
    observed_top_k: int | None
    """Experts that each token was routed to; null without marks or experts."""
    observed_active_blocks: int | None
    """Decoder blocks that ran; null in rows without marks."""
    preprocess_ms: float
    """Image processor, tokeniser and copy to the device; not part of `total_ms`."""
    vision_ms: float | None
    """T_vision."""
    projector_ms: float | None
    """T_projector."""
    prefill_ms: float | None
    """T_prefill, to the first token known."""
    decode_ms: float | None
    """T_decode, from the first to the last token known."""
    total_ms: float
    """T_total, by a clock of its own: inputs on the device to the last token known."""
    n_prompt_tokens: int
    """Prompt tokens, visual tokens included."""
    n_output_tokens: int
    """Tokens written, the end-of-sequence token included."""
    finish_reason: Literal["stop", "length"]
    """`length`: cut at the longest output."""
    output_text: str
    """What the model wrote."""
    peak_memory_mb: float | None
    """Peak device memory of the request on a GPU; peak resident memory so far on a CPU."""


class Provenance(Record):
    """What was measured, on what, with what."""

    started_at: str
    """UTC, ISO 8601."""
    duration_s: float
    """Wall time of the run, without the pauses of an interrupted one."""
    model: str
    """`model.source`."""
    model_changes: dict[str, JsonValue]
    """`model.config`: entries of the configuration that differ from what was published."""
    model_class: str
    """Class of the model."""
    model_fingerprint: str
    """SHA-256 over configuration and weights."""
    revision: str | None
    """Commit of the model on the hub; null for a folder."""
    weights: Weights
    """`random`: the architecture alone was measured, and outputs mean nothing."""
    data_fingerprints: dict[Workload, str]
    """Fingerprints of the request sets."""
    device: str
    """Name of the CPU or GPU."""
    device_type: str
    """`cpu` or `cuda`."""
    n_cores: int
    """Cores of the machine."""
    n_threads: int
    """CPU threads used by torch."""
    memory_gb: float
    """Memory of the machine."""
    platform: str
    """Operating system and processor architecture."""
    dtype: str
    """Arithmetic."""
    image_processor: str
    """Class that turned images into pixels; transformers takes another where torchvision is."""
    experts_implementation: str
    """How experts were computed."""
    attention_implementation: str
    """How attention was computed."""
    runtime: Runtime
    """`eager`, or `compiled`: one graph for each decode step, with a cache of fixed size."""
    versions: dict[str, str]
    """Python and library versions."""
    git_commit: str | None
    """Commit of the project, `+changes` appended where the tree had some; null outside git."""
    resumed_at: tuple[str, ...] = ()
    """When an interrupted run went on (UTC, ISO 8601); empty for a run in one piece."""

    @property
    def model_title(self) -> str:
        """The model in a few words: its source, and what makes it another than was published."""
        notes = ["random weights"] if self.weights == "random" else []
        notes += [f"{name} = {value}" for name, value in _entries(self.model_changes)]
        return f"{self.model} ({', '.join(notes)})" if notes else self.model


def _entries(changes: Mapping[str, JsonValue], place: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Every changed entry by its place and name."""
    for name, value in changes.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


class Span(Record):
    """Where the readings of something lie."""

    low: float
    """Lowest."""
    median: float
    """Median."""
    high: float
    """Highest."""
    spread: float
    """Width of the middle 90 % of the readings, as a share of the median."""


class GpuState(Record):
    """What NVML said of the GPU, in samples between requests; null where it does not tell."""

    n_samples: int
    """Samples, at most one a second."""
    n_samples_at_work: int
    """Those with utilisation: all spans are of these."""
    other_processes: int | None
    """Most other processes that computed on it at once; null where processes are hidden."""
    sm_mhz: Span | None
    """Clock of the multiprocessors."""
    memory_mhz: Span | None
    """Clock of the memory."""
    temperature_c: Span | None
    """Temperature."""
    power_w: Span | None
    """Power drawn."""
    slowed_share: float | None
    """Share of samples in which heat, power or a fault held its clocks down."""
    clock_reasons: dict[str, float]
    """Share of samples with each reason for the present clocks, harmless ones too."""


class MachineState(Record):
    """What was seen of the machine during a run."""

    cpu_others_share: float | None
    """Share of the machine's CPU time that other processes took."""
    cpu_mhz: Span | None
    """Clock of the core that the run was on, right after requests; null if not told."""
    gpu: GpuState | None
    """The GPU; null where none was used or NVML does not answer."""
    gpu_not_measured: str | None
    """Why there is nothing of a GPU."""


class Check(Record):
    """One condition of a valid run."""

    name: str
    """Which condition."""
    value: float | None
    """What was measured; null where it could not be."""
    threshold: float | None
    """What is allowed, at the most or, for numbers of requests, at the least; null where the
    condition is not a number."""
    passed: bool
    """Whether the condition holds."""
    detail: str
    """One sentence with the numbers."""


class Validity(Record):
    """Whether a run may be believed."""

    verdict: Literal["valid", "invalid"]
    """`invalid` where any check failed."""
    reasons: tuple[str, ...]
    """The failed checks' sentences."""
    checks: tuple[Check, ...]
    """All checks."""
    machine: MachineState | None = None
    """What the checks of the machine rest on; null where nothing watched it."""

    @property
    def tally(self) -> str:
        """How many checks passed, for a valid run, and how many had nothing to go by."""
        silent = sum(check.value is None for check in self.checks)
        if not silent:
            return f"all {len(self.checks)} checks passed"
        return f"{len(self.checks) - silent} checks passed, {silent} not measured"


class StageWork(Record):
    """What a stage has to do and read, whatever computes it; of decode, for one token."""

    operations: float
    """Additions and multiplications in matrix products, convolutions and attention."""
    weight_bytes: float
    """Bytes of the weights that they read."""
    cache_bytes: float
    """Bytes of the keys and values that they read: those of the prompt."""


class CellWork(Record):
    """The work of one request of a workload at one setting."""

    workload: Workload
    """Whose request."""
    request_id: str
    """Which request; others differ by a few words."""
    setting: Setting
    """The setting."""
    stages: dict[Stage, StageWork]
    """The work of each stage."""


class DeviceRates(Record):
    """What the device can do, measured in the same run."""

    copy_gb_per_s: float
    """Bytes read and written per second by a copy within its memory, in 10^9."""
    matrix_tflop_per_s: float
    """Operations per second in a large matrix product at the model's arithmetic, in 10^12."""


class RuntimeAgreement(Record):
    """Whether the compiled runtime writes what the eager one does.

    Both get the same tokens, those that the eager runtime wrote; each says which would come next.
    """

    n_outputs: int
    """Outputs compared, one in each state of the knobs."""
    n_tokens: int
    """Tokens compared."""
    n_equal: int
    """Tokens on which both agree."""
    largest_gap: float
    """Where they do not: by how much the eager logits prefer their own token, at the most, in
    standard deviations of the logits; 0 for a tie."""
    largest_difference: float
    """Largest difference of a logit, likewise."""


def place_of(label: str, mode: DecodeMode) -> str:
    """A setting's label, and that outputs had a fixed length where they had."""
    return f"{label} at reference length" if mode == "reference_length" else label


class FailedCell(Record):
    """A cell that could not be measured; its rows, if it had some, are left out."""

    experiment: str
    """As in the rows."""
    workload: Workload
    """Whose requests."""
    setting: Setting
    """At which setting."""
    decode_mode: DecodeMode
    """As in the rows."""
    reason: str
    """What went wrong, in a line."""
    order: int
    """Place in the order of measurement of the request that failed; in warm-up, of the cell's
    first."""
    n_measured: int
    """Requests of the cell that were measured before."""

    @property
    def told(self) -> str:
        """Which cell, and why, in a line."""
        return f"{self.experiment} {self.workload} {self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """The setting, and that outputs had a fixed length where they had."""
        return place_of(self.setting.label, self.decode_mode)


GraphedModule = Literal["vision_tower", "language_model"]
GraphExtent = Literal["whole", "blocks", "none"]


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
    max_new_tokens: dict[Workload, int]
    """Longest output in tokens."""
    reference: Setting
    """The reference setting."""
    grid: tuple[Setting, ...]
    """All settings, the reference first."""
    block_policy: str
    """How blocks were chosen where fewer were active."""
    kept_blocks: dict[str, tuple[int, ...]]
    """Number of active blocks to which they were."""
    n_rows: int
    """Measured requests."""
    device_rates: DeviceRates
    """What the device can do."""
    work: tuple[CellWork, ...]
    """The work of one request in each cell of E2; a cell that fails has none."""
    runtime_agreement: RuntimeAgreement | None
    """Compiled against eager tokens; null in the eager runtime."""
    prompt_graphs: dict[GraphedModule, GraphExtent] | None = None
    """How much of a prompt ran as recorded graphs: each module as one, some of its blocks, or
    nothing; null where prompts are not recorded."""
    failed: tuple[FailedCell, ...] = ()
    """Cells that could not be measured, in the order in which they failed."""

    @property
    def measured_grid(self) -> tuple[Setting, ...]:
        """The settings that E2 measured in both workloads, the reference first.

        A setting that failed in one workload is left out of both, so that the workloads are
        contrasted over the same settings.
        """
        failed = {cell.setting for cell in self.failed if cell.experiment == "e2"}
        return tuple(setting for setting in self.grid if setting not in failed)
