"""Intervals of milliseconds that hold the machine's drift.

A bootstrap over trials shows how far a mean may be from that of other trials like these. If the
machine became slower during the run, the trials are not alike, and milliseconds are those of a
machine at some of its speeds. If a check says so, each interval is made wide enough to hold what
the fastest and the slowest third of the run alone would give.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from m1.machine_course import Course
from m1.schemas.base import Record
from m1.schemas.profile import Validity
from m1.schemas.results import Estimate

T = TypeVar("T")

IN_FLOORS = {"over_floor"}
"""Fields in multiples of a time that does not depend on the speed of the run."""


@dataclass(frozen=True)
class Milliseconds:
    """How far the milliseconds of a run may be from those of a machine at another of its speeds."""

    fastest: float
    """The fastest third of the run, as a multiple of its mean; 1 if the speed was constant."""
    slowest: float
    """The slowest third of the run, as a multiple of its mean; 1 if the speed was constant."""

    @classmethod
    def of(cls, validity: Validity, course: Course) -> Self:
        """Those of a run.

        Args:
            validity: the checks of the run.
            course: the course of the machine in the run.
        """
        return cls(*course.thirds()) if validity.spoils_milliseconds else cls(1, 1)

    def widened(self, result: T) -> T:
        """A result in which every interval of milliseconds holds the drift of the machine.

        Fields in milliseconds have "ms" in their names, and so have all their parts. All others
        stay as they are, but for multiples of a stage's floor.
        """
        return result if self.fastest == self.slowest else self._widened(result, in_ms=False)

    def _widened(self, value: Any, *, in_ms: bool) -> Any:  # noqa: ANN401 (any part of a result)
        if isinstance(value, Estimate):
            return self._of_estimate(value) if in_ms else value
        if isinstance(value, Record):
            parts = {name: getattr(value, name) for name in type(value).model_fields}
            return value.model_copy(update=self._of_parts(parts, in_ms=in_ms))
        if is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            return replace(value, **self._of_parts(parts, in_ms=in_ms))
        if isinstance(value, Mapping):
            return {key: self._widened(inner, in_ms=in_ms) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(self._widened(inner, in_ms=in_ms) for inner in value)
        return value

    def _of_parts(self, parts: Mapping[str, Any], *, in_ms: bool) -> dict[str, Any]:
        return {
            name: self._widened(inner, in_ms=in_ms or "ms" in name.split("_") or name in IN_FLOORS)
            for name, inner in parts.items()
        }

    def _of_estimate(self, estimate: Estimate) -> Estimate:
        # A change may be negative.
        lows = [estimate.low * speed for speed in (self.fastest, self.slowest)]
        highs = [estimate.high * speed for speed in (self.fastest, self.slowest)]
        return estimate.model_copy(update={"low": min(lows), "high": max(highs)})
