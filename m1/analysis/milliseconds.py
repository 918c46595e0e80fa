"""Intervals of milliseconds that hold the machine's drift.

A bootstrap over trials shows how far a mean may be from that of other trials like these. If the
machine became slower during the run, the trials are not alike, and milliseconds are those of a
machine at some of its speeds. If a check says so, each interval is made wide enough to hold what
the fastest and the slowest third of the run alone would give.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

import pandas as pd

from m1.machine_course import course_of
from m1.schemas.base import Record
from m1.schemas.profile import ProfileRun
from m1.schemas.results import Estimate

T = TypeVar("T")


@dataclass(frozen=True)
class Milliseconds:
    """How far the milliseconds of a run may be from those of a machine at another of its speeds."""

    fastest: float
    """The fastest third of the run, as a multiple of its mean; 1 if the speed was constant."""
    slowest: float
    """The slowest third of the run, as a multiple of its mean; 1 if the speed was constant."""

    @classmethod
    def of(cls, run: ProfileRun, rows: pd.DataFrame) -> Self:
        """Those of a run.

        Args:
            run: the record of the run, with its checks.
            rows: all rows.
        """
        return cls(*course_of(rows).thirds()) if run.validity.spoils_milliseconds else cls(1, 1)

    def widened(self, result: T) -> T:
        """A result in which every interval of milliseconds holds the drift of the machine.

        Fields in milliseconds have "ms" in their names. All others stay as they are.
        """
        return result if self.fastest == self.slowest else self._widened(result, in_ms=False)

    def _widened(self, value: Any, *, in_ms: bool) -> Any:  # noqa: ANN401 (any part of a result)
        if isinstance(value, Estimate):
            return self._of_estimate(value) if in_ms else value
        if isinstance(value, Record):
            parts = {name: getattr(value, name) for name in type(value).model_fields}
            return value.model_copy(update=self._of_parts(parts))
        if is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            return replace(value, **self._of_parts(parts))
        if isinstance(value, Mapping):
            return {key: self._widened(inner, in_ms=in_ms) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(self._widened(inner, in_ms=in_ms) for inner in value)
        return value

    def _of_parts(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._widened(inner, in_ms="ms" in name.split("_"))
            for name, inner in parts.items()
        }

    def _of_estimate(self, estimate: Estimate) -> Estimate:
        low, high = estimate.low * self.fastest, estimate.high * self.slowest
        return estimate.model_copy(update={"low": low, "high": high})
