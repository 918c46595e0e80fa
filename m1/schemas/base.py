"""The one base of every record M1 reads or writes."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

LONGEST_VALUE = 80
MOST_PLACES = 3


class Record(BaseModel):
    """A strict, frozen record: no unknown keys, no silent conversions, no later changes."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


def describe(error: Exception) -> str:
    """One line about the first thing wrong: the key, the value, what is allowed."""
    told = _first_of(error) if isinstance(error, ValidationError) else str(error)
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
    return f"{place} = {_shown(details['input'])}: {message}"


def _place(loc: tuple[int | str, ...]) -> str:
    """The keys as people write them: `knobs.top_k[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[1:])
    return "".join([str(loc[0]), *parts]) if loc else "the whole"


def _shown(value: object) -> str:
    """The value as JSON and YAML write it, cut where it is long."""
    text = json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
