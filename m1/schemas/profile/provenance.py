"""The origin of a run: model, data, device, and software."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from m1.schemas.base import Amount, FromOne, Record
from m1.schemas.requests import ByWorkload
from m1.schemas.settings import PromptTemplate, RuntimeName, Weights

LEAST_COMPILATIONS = 3
"""The smallest number of processes that decides a finding of the compiled runtime on a GPU."""


class Quantisation(Record):
    """How a model's weights are quantised."""

    method: str
    """Name of the method in transformers, for example `gptq`."""
    bits: int | None
    """Bits of a weight; null if the model's configuration does not give them."""

    @property
    def title(self) -> str:
        """Method and bits in a few words."""
        return self.method if self.bits is None else f"{self.method}, {self.bits} bits"


class Provenance(Record):
    """The origin of a run: model, data, device, and software."""

    started_at: str
    """Start of the run (UTC, ISO 8601)."""
    duration_s: Amount
    """Wall time of the run. If the run was interrupted, pauses are not included."""
    model: str
    """`model.source`."""
    model_changes: dict[str, JsonValue]
    """`model.config`: entries of the configuration that differ from the published ones."""
    model_class: str
    """Class of the model."""
    model_fingerprint: str
    """SHA-256 over the loaded configurations, weights, processor and model code."""
    revision: str | None
    """Commit of the model on the hub; null if the model is a folder."""
    weights: Weights
    """`random`: only the architecture was measured, and outputs have no meaning."""
    quantisation: Quantisation | None = None
    """Quantisation of the weights; null if there is none, or if it was not recorded."""
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
    """Number type of the computations."""
    image_processor: str
    """Class that prepared the pixels of images. Transformers uses a different class if torchvision
    is installed."""
    experts_implementation: str
    """How experts were computed."""
    attention_implementation: str
    """How attention was computed."""
    runtime: RuntimeName
    """`eager`, or `compiled`: one graph for each decode step, with a cache of fixed size."""
    keep_compiled: bool | None = None
    """Whether a process could use what the compiler chose in an earlier one; null in the eager
    runtime, and in records of earlier versions, in which it could."""
    prompt_template: PromptTemplate | None = None
    """Source of the chat template around prompts. `none`: the model had no template, so prompts
    were raw. Null: not recorded."""
    versions: dict[str, str]
    """Python and library versions."""
    git_commit: str | None
    """Commit of the project, followed by `+changes` if files were changed; null outside git."""
    resumed_at: tuple[str, ...] = ()
    """Times at which an interrupted run resumed (UTC, ISO 8601); empty if it was not
    interrupted."""

    def few_compilations(self, n_processes: int) -> bool:
        """Whether the compiler chose too few times to decide a finding of the compiled runtime.

        Only on a GPU it has a choice that changes findings. If processes may use what an earlier
        one chose, there was one choice.
        """
        if self.runtime == "eager" or self.device_type != "cuda":
            return False
        return bool(self.keep_compiled) or n_processes < LEAST_COMPILATIONS

    @property
    def model_title(self) -> str:
        """The model in a few words: its source, and its differences from the published model."""
        notes = ["random weights"] if self.weights == "random" else []
        notes += [self.quantisation.title] if self.quantisation else []
        notes += [f"{name} = {value}" for name, value in _entries(self.model_changes)]
        return f"{self.model} ({', '.join(notes)})" if notes else self.model


def _entries(changes: Mapping[str, JsonValue], place: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Every changed entry, with its place and name."""
    for name, value in changes.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
