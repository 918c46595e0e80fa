"""Find the tokens that end an answer, and which file of the model names them."""

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedModel

from m1.errors import UserError
from m1.schemas.settings import EndTokens, EndTokenSource


def find_end_tokens(model: PreTrainedModel, processor: Any) -> EndTokens:  # noqa: ANN401
    """The tokens that end an answer.

    The generation config comes first, as in `generate`. If it names no token, `generate` would
    write up to the length limit. Here the answer then ends at the token that the tokenizer puts
    after a text, or else at the one in the configuration. The configuration comes last, since its
    classes have default numbers for entries that a folder leaves out.
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
    """Refuse outputs that should end by themselves if no end token is known.

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
