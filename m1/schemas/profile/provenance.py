"""What was measured, on what, with what."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.quantities import Amount, FromOne
from m1.schemas.requests import ByWorkload
from m1.schemas.settings import PromptTemplate, RuntimeName, Weights


class Quantisation(Record):
    """How a model's weights are quantised."""

    method: str
    """Name of the method in transformers, such as `gptq`."""
    bits: int | None
    """Bits of a weight; null where the model's configuration does not say."""

    @property
    def title(self) -> str:
        """In a few words."""
        return self.method if self.bits is None else f"{self.method}, {self.bits} bits"


class Provenance(Record):
    """What was measured, on what, with what."""

    started_at: str
    """UTC, ISO 8601."""
    duration_s: Amount
    """Wall time of the run, without the pauses of an interrupted one."""
    model: str
    """`model.source`."""
    model_changes: dict[str, JsonValue]
    """`model.config`: entries of the configuration that differ from what was published."""
    model_class: str
    """Class of the model."""
    model_fingerprint: str
    """SHA-256 over configurations, weights, processor and the model's own code, as loaded."""
    revision: str | None
    """Commit of the model on the hub; null for a folder."""
    weights: Weights
    """`random`: the architecture alone was measured, and outputs mean nothing."""
    quantisation: Quantisation | None = None
    """Of the weights; null: none, or not recorded."""
    data_fingerprints: ByWorkload[str]
    """Fingerprints of the request sets."""
    device: str
    """Name of the CPU or GPU."""
    device_type: str
    """`cpu` or `cuda`."""
    n_cores: FromOne
    """Cores of the machine."""
    n_threads: FromOne
    """CPU threads used by torch."""
    memory_gb: Amount
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
    runtime: RuntimeName
    """`eager`, or `compiled`: one graph for each decode step, with a cache of fixed size."""
    prompt_template: PromptTemplate | None = None
    """Whose chat template was put around prompts; `none`: the model had none, so that prompts were
    raw; null: not recorded."""
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
        notes += [self.quantisation.title] if self.quantisation else []
        notes += [f"{name} = {value}" for name, value in _entries(self.model_changes)]
        return f"{self.model} ({', '.join(notes)})" if notes else self.model


def _entries(changes: Mapping[str, JsonValue], place: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Every changed entry by its place and name."""
    for name, value in changes.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
