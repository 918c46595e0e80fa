"""The one base of every record M1 reads or writes."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from m1.reasons import why

LONGEST_VALUE = 80
MOST_PLACES = 3

T = TypeVar("T")


class Record(BaseModel):
    """A strict, frozen record: no unknown keys, no silent conversions, no NaN, no changes."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        # JSON has no words for them, and a number that is none is no result.
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def with_each(names: Sequence[str]) -> AfterValidator:
    """A validator of mappings that must have an entry for each of some names."""

    def complete(found: dict[str, T]) -> dict[str, T]:
        if missing := [name for name in names if name not in found]:
            raise ValueError(f"has no {' and no '.join(missing)}")
        return found

    return AfterValidator(complete)


def repeated(values: Iterable[Hashable]) -> str | None:
    """The first of some values that is there more than once, as Python writes it."""
    return next((repr(value) for value, n in Counter(values).items() if n > 1), None)


def describe(error: Exception) -> str:
    """One line about the first thing wrong: the key, the value, what is allowed."""
    told = _first_of(error) if isinstance(error, ValidationError) else why(error)
    # Keys and values may hold line breaks.
    return " ".join(told.split())


def _first_of(error: ValidationError) -> str:
    first, *rest = error.errors(include_url=False)
    places = [_place(other["loc"]) for other in rest[:MOST_PLACES]]
    if len(rest) > MOST_PLACES:
        places.append("...")
    return _wrong(first) + (f" (also wrong: {', '.join(places)})" if rest else "")


def _wrong(details: Mapping[str, Any]) -> str:
    place, message = _place(details["loc"]), str(details["msg"]).removeprefix("Value error, ")
    match details["type"]:
        case "json_invalid":
            return message.replace("Invalid JSON", "not JSON")
        case "extra_forbidden":
            return f"{place} is not a known key; correct or remove it"
        case "missing":
            return f"{place} is missing"
        case "value_error" if not details["loc"]:
            return message
    return f"{place} = {_shown(details['input'])}: {message}"


def _place(loc: tuple[int | str, ...]) -> str:
    """The keys as people write them: `knobs.top_k[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in loc[1:])
    return "".join([_cut(str(loc[0])), *parts]) if loc else "the whole"


def _shown(value: object) -> str:
    """The value as JSON and YAML write it, cut where it is long."""
    return _cut(json.dumps(value, default=repr, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
