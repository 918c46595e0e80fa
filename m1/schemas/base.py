"""The one base of every record M1 reads or writes."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A strict, frozen record: no unknown keys, no silent conversions, no later changes."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )
