"""The inputs from which results were made."""

from pydantic import JsonValue

from m1.schemas.base import Fingerprint, Record
from m1.schemas.requests import ByWorkload


class MadeFrom(Record):
    """The inputs from which results were made. Results that belong together have the same ones."""

    run: Fingerprint
    """Fingerprint of the profile run: its record, and its rows."""
    answers: Fingerprint | None
    """Fingerprint of the answers that were scored; null if outputs are not answers."""
    requests: ByWorkload[str]
    """Fingerprints of the request sets that were measured."""
    analysis: dict[str, JsonValue]
    """Fingerprint of section `analysis` of the parameters."""
