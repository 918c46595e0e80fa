"""What was measured: the model, the data, the device and the software."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.quantities import Amount, FromOne
from m1.schemas.requests import ByWorkload
from m1.schemas.settings import PromptTemplate, RuntimeName, Weights


class Quantisation(Record):
    """How a model's weights are quantised."""

    method: str
    """Name of the method in transformers, for example `gptq`."""
    bits: int | None
    """Bits per weight; null if the model's configuration does not tell."""

    @property
    def title(self) -> str:
        """In a few words."""
        return self.method if self.bits is None else f"{self.method}, {self.bits} bits"


class Provenance(Record):
    """What was measured: the model, the data, the device and the software."""

    started_at: str
    """Start of the run (UTC, ISO 8601)."""
    duration_s: Amount
    """Wall time of the run, without the pauses of an interrupted one."""
    model: str
    """`model.source`."""
    model_changes: dict[str, JsonValue]
    """`model.config`: entries of the configuration that differ from the published model."""
    model_class: str
    """Class of the model."""
    model_fingerprint: str
    """SHA-256 over configurations, weights, processor and the model's own code, as loaded."""
    revision: str | None
    """Commit of the model on the hub; null if the model is a folder."""
    weights: Weights
    """`random`: only the architecture was measured, and outputs have no meaning."""
    quantisation: Quantisation | None = None
    """Quantisation of the weights; null: none, or not recorded."""
    data_fingerprints: ByWorkload[str]
    """Fingerprints of the request sets."""
    device: str
    """Name of the CPU or GPU."""
    device_type: str
    """`cpu` or `cuda`."""
    n_cores: FromOne
    """Number of CPU cores of the machine."""
    n_threads: FromOne
    """Number of CPU threads that torch used."""
    memory_gb: Amount
    """Memory of the machine."""
    platform: str
    """Operating system and processor architecture."""
    dtype: str
    """Number format of weights and arithmetic."""
    image_processor: str
    """Class that turned images into pixels. Transformers uses another class if torchvision is
    installed."""
    experts_implementation: str
    """How experts were computed."""
    attention_implementation: str
    """How attention was computed."""
    runtime: RuntimeName
    """`eager`, or `compiled`: one graph for each decode step, with a cache of fixed size."""
    prompt_template: PromptTemplate | None = None
    """Owner of the chat template around prompts; `none`: there was no template, so prompts were
    raw; null: not recorded."""
    versions: dict[str, str]
    """Python and library versions."""
    git_commit: str | None
    """Commit of the project, with `+changes` if files differed from it; null outside git."""
    resumed_at: tuple[str, ...] = ()
    """When an interrupted run was resumed (UTC, ISO 8601); empty if it was never interrupted."""

    @property
    def model_title(self) -> str:
        """The model in a few words: its source, and its differences from the published model."""
        notes = ["random weights"] if self.weights == "random" else []
        notes += [self.quantisation.title] if self.quantisation else []
        notes += [f"{name} = {value}" for name, value in _entries(self.model_changes)]
        return f"{self.model} ({', '.join(notes)})" if notes else self.model


def _entries(changes: Mapping[str, JsonValue], place: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Every changed entry, by its place and name."""
    for name, value in changes.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
