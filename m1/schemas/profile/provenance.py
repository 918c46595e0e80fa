"""What was measured, on what, with what."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.quantities import Amount, FromOne
from m1.schemas.requests import ByWorkload
from m1.schemas.settings import RuntimeName, Weights


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
    """SHA-256 over configuration and weights."""
    revision: str | None
    """Commit of the model on the hub; null for a folder."""
    weights: Weights
    """`random`: the architecture alone was measured, and outputs mean nothing."""
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
