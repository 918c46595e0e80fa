"""Section `model`: the model under study, and how it is run."""

from typing import Literal

from pydantic import Field, JsonValue

from m1.params.numbers import PositiveInt
from m1.schemas.base import Record
from m1.schemas.settings import RuntimeName, Weights


class ModelParams(Record):
    """Section `model`."""

    source: str
    """Folder or Hugging Face id of the model."""
    watched: str | None = None
    """Where DVC looks for changes of the model: the folder of `source` again; for a hub id it does
    not matter."""
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
    runtime: RuntimeName = "eager"
    """`compiled` decodes with a cache of fixed size and one compiled graph for each token; on a GPU
    it records prompts, too."""
    autotune: bool = True
    """Whether `compiled` tries many kernels for each product: minutes of compiling for steps that
    are some percent faster."""
    n_threads: PositiveInt | None
    """CPU threads; null takes one a core."""
