"""Run a model's forward passes: with the library's own code, or with a compiled step."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor
from transformers import Cache, PreTrainedModel


class Runtime(ABC):
    """Runs a prompt, then one token after another."""

    @abstractmethod
    def make_room(self, n_positions: int) -> None:
        """Prepare for requests of `n_positions` positions, prompt and output together."""

    @abstractmethod
    def prefill(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
        """Run the whole prompt.

        Returns:
            Logits of the first token (1 x vocabulary) and the key-value cache of the prompt.
        """

    @abstractmethod
    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run one token (1 x 1) against the cache, which grows by it.

        Returns:
            Logits of the next token (1 x vocabulary), valid until the next call.
        """


class EagerRuntime(Runtime):
    """One kernel after another, as the library's modules launch them."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take the model as it is at each call."""
        self.model = model

    def make_room(self, n_positions: int) -> None:
        """Do nothing, since the cache grows."""

    def prefill(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Cache]:
        """Run the whole prompt into a cache that grows."""
        output: Any = self.model(**inputs, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1], output.past_key_values

    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run one token against the cache."""
        output: Any = self.model(input_ids=token, past_key_values=cache, use_cache=True)
        logits: Tensor = output.logits[:, -1]
        return logits
