"""The one base of every record M1 reads or writes."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """A strict, frozen record: no unknown keys, no silent conversions, no later changes."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


def describe(error: Exception) -> str:
    """One line about the first thing wrong: the key, the value, what is allowed."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first, *rest = error.errors(include_url=False)
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    value = repr(first["input"])
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    more = f" (and {len(rest)} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        return f"{place} is not a known key{more}"
    if first["type"] == "missing":
        return f"{place} is missing{more}"
    return f"{place} = {shown}: {first['msg'].removeprefix('Value error, ')}{more}"
