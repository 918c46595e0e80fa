"""Which tokens end an answer, and who says so."""

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedModel

from m1.errors import UserError
from m1.schemas.settings import EndTokens, EndTokenSource


def find_end_tokens(model: PreTrainedModel, processor: Any) -> EndTokens:  # noqa: ANN401
    """The tokens that end an answer.

    Those of the generation config, as in `generate`. Where it has none `generate` writes on until
    the longest output; what the tokenizer puts after a text then ends it here, or else what the
    configuration says. The configuration comes last since its classes have numbers of their own
    for entries that a folder leaves out.
    """
    for source, ids in _said(model, processor):
        if ids:
            return EndTokens(ids=tuple(sorted(ids)), source=source)
    return EndTokens(ids=(), source=None)


def _said(model: Any, processor: Any) -> Iterator[tuple[EndTokenSource, set[int]]]:  # noqa: ANN401
    yield "generation_config", _ids(model.generation_config)
    yield "tokenizer", _ids(getattr(processor, "tokenizer", None))
    yield "config", _ids(model.config) or _ids(model.config.get_text_config())


def _ids(holder: object) -> set[int]:
    ids = getattr(holder, "eos_token_id", None)
    return {ids} if isinstance(ids, int) else set(ids or ())


def refuse_endless(end_tokens: EndTokens) -> None:
    """Refuse to measure outputs that may end where nothing says what ends them.

    Raises:
        UserError: if no end token is known.
    """
    if not end_tokens.ids:
        raise UserError(
            "no end-of-sequence token is known: neither generation config, tokenizer nor "
            "configuration of the model has an eos_token_id, so every output would be cut at "
            "profile.max_new_tokens: add it to generation_config.json, or set "
            "profile.decode_mode to reference_length"
        )
