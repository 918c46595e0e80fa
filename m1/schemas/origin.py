"""The files that results were made from."""

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.quantities import Fingerprint
from m1.schemas.requests import ByWorkload


class MadeFrom(Record):
    """Fingerprints of the files that results were made from.

    Results that belong together have equal fingerprints.
    """

    run: Fingerprint
    """Fingerprint of the profile run: its record and its rows."""
    answers: Fingerprint | None
    """Fingerprint of the scored answers; null if outputs are no answers."""
    requests: ByWorkload[str]
    """Fingerprints of the measured request sets."""
    analysis: dict[str, JsonValue]
    """Fingerprint of section `analysis` of the parameters."""
