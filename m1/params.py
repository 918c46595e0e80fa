"""The strict, frozen model of params.yaml."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from m1.errors import UserError
from m1.schemas.base import Record, describe
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import KNOBS, DecodeModeChoice, Runtime, Setting, Weights

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
EffectKind = Literal["share", "sensitivity", "preference", "steepness"]
Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 (whatever YAML holds)
    return tuple(value) if isinstance(value, list) else (value,)


KnobValues = Annotated[
    tuple[PositiveInt | None, ...], BeforeValidator(_as_tuple), Field(min_length=1)
]


class PerWorkload(Record):
    """A number for each workload."""

    qa: PositiveInt
    """For question answering."""
    captioning: PositiveInt
    """For captioning."""

    def of(self, workload: Workload) -> int:
        """The number of one workload."""
        return self.qa if workload == "qa" else self.captioning

    def by_workload(self) -> dict[Workload, int]:
        """Both numbers by the name of the workload."""
        return {workload: self.of(workload) for workload in WORKLOADS}


class WorkloadData(Record):
    """Where the requests of one workload come from."""

    source: Literal["scenes", "vqa-v2", "coco-captions", "jsonl"]
    """`scenes` are generated; the others are read from `root`."""
    root: str
    """Where the dataset is: the manifest of `m1 fetch` (the files are in the folder beside it that
    has its name), a folder in the official layout, or a JSON Lines file. Scenes ignore it."""
    n_requests: PositiveInt
    """Requests to prepare."""
    prompt: str | None
    """What the model is asked; `{question}` stands for the question. Null: the source's own."""


class CaptioningData(WorkloadData):
    """Where the requests of captioning come from."""

    split: Literal["karpathy-test"] | None
    """Part of the COCO captions to take; null takes all images of the file."""


class SceneData(Record):
    """How many scenes are generated."""

    n_images: PositiveInt
    """Scenes, shared by both workloads."""
    questions_per_image: PositiveInt
    """Questions about each scene."""


class DataParams(Record):
    """Section `data`."""

    seed: Seed
    """Seed of generated scenes and of sampling."""
    scenes: SceneData
    """Generated scenes."""
    qa: WorkloadData
    """Question answering."""
    captioning: CaptioningData
    """Captioning."""

    def of(self, workload: Workload) -> WorkloadData:
        """The part of one workload."""
        return self.qa if workload == "qa" else self.captioning


class FetchParams(Record):
    """Section `fetch`: how `m1 fetch` downloads, and from where."""

    vqa_v2_url: Url
    """Folder of the archives of VQA v2."""
    coco_url: Url
    """Folder of COCO's `annotations/` and `val2014/`."""
    karpathy_url: Url
    """Folder of the archive with the Karpathy split."""
    n_parallel: Annotated[int, Field(ge=1, le=32)]
    """Images fetched at the same time."""
    n_attempts: PositiveInt
    """Attempts at each file."""
    backoff_s: PositiveFloat
    """Seconds before the second attempt, twice as many before each further one."""
    timeout_s: PositiveFloat
    """Seconds of silence after which an attempt is given up."""


class ModelParams(Record):
    """Section `model`."""

    source: str
    """Folder or Hugging Face id of the model."""
    revision: str | None = None
    """Branch, tag or commit on the hub; null takes the newest."""
    weights: Weights = "pretrained"
    """`random` builds the architecture from its configuration alone: latency without quality."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Entries of the model's configuration to change, by name and part."""
    trust_remote_code: bool = False
    """Whether code from the model's repository may run."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Arithmetic."""
    device: str
    """`auto`, `cpu`, `cuda` or `cuda:<n>`."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    """How attention is computed; null takes the model's default."""
    experts: Literal["eager", "batched_mm", "grouped_mm"]
    """How a mixture-of-experts layer computes its experts."""
    runtime: Runtime = "eager"
    """`compiled` decodes with a cache of fixed size and one compiled graph for each token."""
    autotune: bool = True
    """Whether `compiled` tries many kernels for each product: minutes of compiling for steps that
    are some percent faster."""
    n_threads: PositiveInt | None
    """CPU threads; null takes one a core."""


class KnobParams(Record):
    """Section `knobs`: the values that make up the grid; a scalar is a list of one."""

    vision_tokens: KnobValues
    """Visual tokens the language model sees; null leaves them as they are."""
    top_k: KnobValues
    """Experts per token; null on models without experts."""
    active_blocks: KnobValues
    """Decoder blocks executed; null leaves them as they are."""
    block_policy: Literal["evenly_spaced", "first", "importance"] = "evenly_spaced"
    """Which blocks stay."""
    design: Literal["grid", "one_at_a_time"] = "grid"
    """`one_at_a_time` leaves out settings in which several knobs are off the reference: enough for
    sensitivity, too little for a frontier."""
    calibration_requests: PositiveInt = 16
    """Requests of each workload by which `importance` scores the blocks."""

    @field_validator("vision_tokens", "top_k", "active_blocks")
    @classmethod
    def _distinct(cls, values: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(set(values)) < len(values):
            raise ValueError("the values must differ from each other")
        if None in values and len(values) > 1:
            raise ValueError("null stands alone: it leaves the knob as the model has it")
        return values

    def grid(self) -> tuple[Setting, ...]:
        """Every combination of the values, the reference setting first."""
        grid = [
            Setting(vision_tokens=v, top_k=k, active_blocks=b)
            for v in _descending(self.vision_tokens)
            for k in _descending(self.top_k)
            for b in _descending(self.active_blocks)
        ]
        most = len(KNOBS) if self.design == "grid" else 1
        return tuple(one for one in grid if n_differences(one, grid[0]) <= most)


def n_differences(one: Setting, other: Setting) -> int:
    """Knobs whose values differ."""
    return sum(getattr(one, knob) != getattr(other, knob) for knob in KNOBS)


def _descending(values: tuple[int | None, ...]) -> list[int | None]:
    return sorted(values, key=lambda value: -(value or 0))


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


class QualityParams(Record):
    """Section `quality`: what is answered in batches, apart from the rows that are timed."""

    n_requests: PerWorkload
    """Requests answered at each setting of the grid."""
    batch_size: PositiveInt
    """Requests answered at once."""


class ValidityParams(Record):
    """Section `validity`: the thresholds of a run that may be believed."""

    closure: PositiveFloat
    """Largest share of a request's latency that the stages may leave unexplained."""
    closure_exceptions: Share
    """Largest share of requests that may leave more: the process was interrupted in them."""
    observer_effect: PositiveFloat
    """Largest relative change of latency by the marks, as far as its interval shows it."""
    observer_resolution: PositiveFloat
    """Largest half width of that interval: what the pairs can tell."""
    warmup_plateau: PositiveFloat
    """Largest relative difference of the last two warm-up windows."""
    drift: PositiveFloat
    """Largest relative change of latency between two thirds of the run."""
    jitter: PositiveFloat
    """Largest relative spread of latency at a repeated request."""
    min_e1: PositiveInt
    """Fewest requests of a workload in E1; 59 give a P95 at 95 % confidence."""
    min_e2: PositiveInt
    """Fewest requests of a cell of E2."""
    min_observer: PositiveInt
    """Fewest images of a workload with and without marks."""
    min_answers: PositiveInt
    """Fewest requests of a workload scored at each setting, where there is quality."""
    cpu_busy: Share
    """Largest share of the machine's CPU time taken by other processes."""
    cpu_frequency: PositiveFloat
    """Largest relative spread of the clock of the core that the run is on."""
    gpu_neighbours: Annotated[int, Field(ge=0)]
    """Most other processes that may compute on the GPU."""
    throttling: Share
    """Largest share of looks at which heat, power or a fault held the GPU's clocks down."""
    clocks: PositiveFloat
    """Largest relative spread of the GPU's clock at work."""
    runtime_gap: PositiveFloat
    """Largest preference of the eager runtime for another token than the compiled one's, in
    standard deviations of the logits."""


class SmallestEffects(Record):
    """The smallest effect that matters, for each kind of finding."""

    share: NonNegativeFloat
    """Margin between shares of latency, percentage points."""
    sensitivity: NonNegativeFloat
    """Difference in latency saved by a knob, percentage points."""
    preference: NonNegativeFloat
    """Difference of a knob between the best settings, fraction of its reference value."""
    steepness: NonNegativeFloat
    """Difference in share of quality lost per share of latency saved."""

    def of(self, kind: EffectKind) -> float:
        """The smallest effect of one kind."""
        return {
            "share": self.share,
            "sensitivity": self.sensitivity,
            "preference": self.preference,
            "steepness": self.steepness,
        }[kind]


class AnalysisParams(Record):
    """Section `analysis`."""

    seed: Seed
    """Seed of the bootstrap."""
    n_resamples: Annotated[int, Field(ge=100)]
    """Bootstrap resamples."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    """Confidence of every interval."""
    min_clusters: Annotated[int, Field(ge=2)]
    """Fewest clusters (trials, or images that are only scored) whose intervals decide a finding."""
    smallest_effect: SmallestEffects
    """What findings are held against."""
    latency_statistic: Literal["median", "mean"]
    """What a setting's latency is on the frontier."""
    quality_levels: tuple[Share, ...]
    """Shares of reference quality at which the fastest setting is named."""
    decision_level: Share
    """The one of these levels at which the workloads' optimal settings are compared."""

    @model_validator(mode="after")
    def _decides_at_a_level(self) -> Self:
        if self.decision_level not in self.quality_levels:
            levels = ", ".join(map(str, self.quality_levels)) or "none"
            raise ValueError(
                f"decision_level = {self.decision_level} is not one of quality_levels ({levels})"
            )
        return self


class Params(Record):
    """All of params.yaml."""

    data: DataParams
    """Requests."""
    fetch: FetchParams
    """Downloads."""
    model: ModelParams
    """The model under study."""
    knobs: KnobParams
    """The grid."""
    profile: ProfileParams
    """Measurement."""
    quality: QualityParams
    """Answers."""
    validity: ValidityParams
    """What makes a run valid."""
    analysis: AnalysisParams
    """Statistics."""


def effective_decode_mode(weights: Weights, decode_mode: DecodeModeChoice) -> DecodeModeChoice:
    """How long outputs are: random weights never end one, so the reference decides for them."""
    return "reference_length" if weights == "random" else decode_mode


def load_params(path: Path, changes: Sequence[str] = ()) -> Params:
    """Read params.yaml.

    Args:
        path: the file.
        changes: parameters to change, each a dotted key, `=` and a YAML value.

    Raises:
        UserError: naming the key, its value and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: cannot be read ({reason})") from None
    try:
        raw = yaml.safe_load(text)
        for change in changes:
            _set(raw, change)
        # YAML turns what looks like a date into one; as text the model names the key it is under.
        return Params.model_validate_json(json.dumps(raw, default=str))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except (ValidationError, TypeError) as error:
        raise UserError(f"{path}: {describe(error)}") from None


def _set(raw: Any, change: str) -> None:  # noqa: ANN401 (whatever YAML holds)
    """Change one parameter; strict validation tells what does not exist."""
    key, equals, value = change.partition("=")
    *sections, name = key.split(".")
    for section in sections:
        raw = raw.get(section) if isinstance(raw, dict) else None
    if not equals or not isinstance(raw, dict):
        raise UserError(f"--set {change}: give section.key=value, such as model.device=cuda")
    raw[name] = yaml.safe_load(value)
