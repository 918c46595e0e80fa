"""Find how a model marks reasoning and the answer in its outputs."""

from collections.abc import Iterator, Mapping
from typing import Any

from m1.schemas.markup import Marks, Markup
from m1.vlm.prompts import TRIED, Prompts

# The usual marks. They count only where the model's template or tokenizer knows the closing one.
REASONING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
)
BOXES = (
    ("<answer>", "</answer>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),
)


def find_markup(prompts: Prompts) -> Markup:
    """The marks that a model's chat template or tokenizer knows; empty if there are none."""
    known = set(prompts.added_tokens)
    templates = "\n".join(_texts(prompts.processor)) + "\n".join(_texts(prompts.tokenizer))

    def is_known(pair: tuple[str, str]) -> bool:
        return pair[1] in known or pair[1] in templates

    own = _stated(prompts.tokenizer)
    reasoning = [*own, *(pair for pair in REASONING if is_known(pair) and pair not in own)]
    prompt = prompts.write(TRIED) if reasoning else ""
    return Markup(
        reasoning=tuple(_marks(pair, prompt) for pair in reasoning),
        box=tuple(_marks(pair, "") for pair in BOXES if is_known(pair)),
    )


def _marks(pair: tuple[str, str], prompt: str) -> Marks:
    opening, closing = pair
    opened = prompt.rfind(opening) > prompt.rfind(closing)
    return Marks(opening=opening, closing=closing, opened_by_prompt=opened)


def _texts(owner: Any) -> Iterator[str]:  # noqa: ANN401 (of transformers)
    """Every chat template of a processor or tokenizer."""
    template = getattr(owner, "chat_template", None)
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        yield from map(str, template.values())


def _stated(tokenizer: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """The marks of reasoning that a tokenizer's `response_template` states."""
    stated = getattr(tokenizer, "response_template", None)
    fields = stated.get("fields", {}) if isinstance(stated, Mapping) else {}
    pairs = (_ends(fields.get(name)) for name in ("reasoning_content", "thinking"))
    return [pair for pair in pairs if pair]


def _ends(field: Any) -> tuple[str, str] | None:  # noqa: ANN401 (of a JSON file)
    """The texts that open and close a field, if both are plain text."""
    ends = [field.get("open"), field.get("close")] if isinstance(field, Mapping) else []
    texts = [end.strip() for end in ends if isinstance(end, str) and end.strip()]
    return (texts[0], texts[1]) if len(texts) == 2 else None
