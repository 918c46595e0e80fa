"""Section `model`: the model to measure, and how to run it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from m1.params.numbers import PathText
from m1.schemas.base import Record
from m1.schemas.settings import RuntimeName, Weights

# Large numbers of real configurations are bases of rotary embeddings, up to about ten billion.
MOST_IN_CONFIG = 1e12


class ModelParams(Record):
    """Section `model`."""

    source: PathText
    """Folder of the model, or its Hugging Face id."""
    watched: PathText | None = None
    """Where DVC looks for changes of the model: the same folder as `source`. For a hub id it has no
    effect."""
    revision: Annotated[str, Field(max_length=255)] | None = None
    """Branch, tag or commit on the hub; null takes the newest commit."""
    weights: Weights = "pretrained"
    """`random` builds the architecture from its configuration alone. Then only latency is measured,
    not quality."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Changes to the model's configuration, by part and name."""
    trust_remote_code: bool = False
    """Whether code from the model's repository may run."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Number type of the computations."""
    device: Annotated[str, Field(max_length=8, pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")]
    """`auto`, `cpu`, `cuda` or `cuda:<n>`."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    """Implementation of attention; null takes the model's default."""
    experts: Literal["eager", "batched_mm", "grouped_mm"]
    """Implementation of the experts in a mixture-of-experts layer."""
    runtime: RuntimeName = "eager"
    """`compiled` decodes with a cache of fixed size and one compiled graph for each token. On a GPU
    it also records the computation of prompts."""
    autotune: bool = True
    """Whether `compiled` tries many kernels for each product. This takes minutes, and makes steps
    some percent faster."""
    keep_compiled: bool = False
    """Whether `compiled` may use what the compiler chose in an earlier process. It is quicker, but
    then processes are not independent of each other."""
    n_threads: Annotated[int, Field(ge=1, le=1024)] | None
    """Number of CPU threads; null takes one for each core."""

    @field_validator("config")
    @classmethod
    def _bearable(cls, changes: dict[str, JsonValue]) -> dict[str, JsonValue]:
        odd = next((n for n in _numbers(changes) if not abs(n) <= MOST_IN_CONFIG), None)
        if odd is not None:
            raise ValueError(
                f"{odd} is outside the allowed range of plus or minus {MOST_IN_CONFIG}"
            )
        return changes


def _numbers(value: JsonValue) -> Iterator[float]:
    """All numbers in a value, at any depth."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value
