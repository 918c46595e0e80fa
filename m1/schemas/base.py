"""The base of all records, and numbers and fingerprints with limits."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from m1.reasons import why

LONGEST_VALUE = 80
MOST_PLACES = 3
MOST_TOLD = 20
CORRECT = "correct or remove it"
QUOTED = re.compile(r"'([^']*)'")

T = TypeVar("T")


class Record(BaseModel):
    """A strict, frozen record: no unknown keys, silent conversions, NaN, infinity or changes."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        # JSON has no infinity and no NaN, and neither of them is a result.
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Keyed(Record):
    """A record that is kept under a key, to be used again."""

    key: Record
    """Everything that decides the content."""


def with_each(names: Sequence[str]) -> AfterValidator:
    """A validator for mappings that must have an entry for each name."""

    def complete(found: dict[str, T]) -> dict[str, T]:
        if missing := [name for name in names if name not in found]:
            raise ValueError(f"has no {' and no '.join(missing)}")
        return found

    return AfterValidator(complete)


def repeated(values: Iterable[Hashable]) -> str | None:
    """The `repr` of the first value that is repeated; `None` if no value is."""
    return next((repr(value) for value, n in Counter(values).items() if n > 1), None)


def describe(error: Exception) -> str:
    """One line about the first mistake: the key, its value, and the allowed values."""
    told = _first_of(error) if isinstance(error, ValidationError) else why(error)
    # Keys and values may contain line breaks.
    return " ".join(told.split())


def mistakes(kind: type[BaseModel], error: ValidationError) -> list[str]:
    """A line about each mistake: the key, its value, the allowed values, and a similar name.

    Args:
        kind: the type of record that could not be made.
        error: the error of pydantic.
    """
    found = error.errors(include_url=False)
    near = {
        mistake["loc"]: _nearest_key(kind, mistake["loc"])
        for mistake in found
        if _is_unknown(mistake)
    }
    # A misspelt key is one mistake, not two.
    meant = set(near.values())
    told = [e for e in found if e["type"] != "missing" or _place(e["loc"]) not in meant]
    lines = [
        " ".join(_with_hint(mistake, near.get(mistake["loc"])).split())
        for mistake in told[:MOST_TOLD]
    ]
    more = len(told) - MOST_TOLD
    return [*lines, f"... and {more} more mistakes"] if more > 0 else lines


def _is_unknown(details: Mapping[str, Any]) -> bool:
    return str(details["type"]) == "extra_forbidden"


def _with_hint(details: Mapping[str, Any], near: str | None) -> str:
    """A message about a mistake, with the most similar correct name if there is one."""
    if details["type"] == "literal_error":
        near = nearest(str(details["input"]), QUOTED.findall(details["ctx"]["expected"]))
        return _wrong(details) + (f"; did you mean {near}?" if near else "")
    wrong = _wrong(details)
    return wrong.replace(CORRECT, f"did you mean {near}?") if near else wrong


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a wrong word probably stands for; `None` if no known word is similar."""
    # No misspelt word is longer. The time to compare grows with the square of the length.
    close = difflib.get_close_matches(word[:LONGEST_VALUE], known, n=1)
    return close[0] if close else None


def _nearest_key(kind: type[BaseModel], loc: tuple[int | str, ...]) -> str | None:
    """The known key that an unknown key probably stands for; `None` if there is none.

    It has a similar name in the same section, or the same name in a single other section.
    """
    *above, name = map(str, loc)
    keys = list(_keys_of(kind))
    section = ".".join(above)
    beside = [key.rpartition(".")[2] for key in keys if key.rpartition(".")[0] == section]
    if near := nearest(name, beside):
        return ".".join([*above, near])
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    return elsewhere[0] if len(elsewhere) == 1 else None


def _keys_of(kind: type[BaseModel], place: str = "") -> Iterator[str]:
    """All keys of a record and of the records in it, with dots between the levels."""
    for name, field in kind.model_fields.items():
        yield f"{place}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys_of(field.annotation, f"{place}{name}.")


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
            return f"{place} is not a known key; {CORRECT}"
        case "missing":
            return f"{place} is missing"
        case "value_error" if not details["loc"]:
            return message
    return f"{place} = {_shown(details['input'])}: {message}"


def _place(loc: tuple[int | str, ...]) -> str:
    """The place of a value in the usual notation, such as `knobs.top_k[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in loc[1:])
    return "".join([_cut(str(loc[0])), *parts]) if loc else "the whole"


def _shown(value: object) -> str:
    """A value in the notation of JSON and YAML, cut if it is long."""
    return _cut(json.dumps(value, default=repr, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


Count = Annotated[int, Field(ge=0)]
FromOne = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Fingerprint = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""SHA-256, in hexadecimal digits."""
