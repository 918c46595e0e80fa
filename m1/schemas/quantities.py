"""Numbers and fingerprints with limits."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=0)]
FromOne = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Fingerprint = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""SHA-256, in hexadecimal digits."""
