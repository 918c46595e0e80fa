"""What results were made from."""

from pydantic import JsonValue

from m1.schemas.base import Record
from m1.schemas.quantities import Fingerprint
from m1.schemas.requests import ByWorkload


class MadeFrom(Record):
    """What results were made from: those that belong together were all made from the same."""

    run: Fingerprint
    """Of the profile run: its record, and its rows."""
    answers: Fingerprint | None
    """Of the answers that were scored; null where outputs are no answers."""
    requests: ByWorkload[str]
    """Of the request sets that were measured."""
    analysis: dict[str, JsonValue]
    """Section `analysis` of the parameters."""
