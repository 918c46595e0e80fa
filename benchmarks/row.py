"""A line of the table: the comparison, the result and the aim."""

from dataclasses import dataclass
from typing import Literal

from m1.schemas.results.estimates import Estimate

Verdict = Literal["met", "not met", "undecided", "no aim"]


@dataclass(frozen=True)
class Aim:
    """A limit that a result should respect."""

    bound: float
    at_most: bool = True
    """True if the bound is an upper limit, false if it is a lower limit."""

    def verdict(self, result: Estimate) -> Verdict:
        """Met if the whole interval respects the bound, not met if no part of it does."""
        if self.at_most:
            kept, broken = result.high <= self.bound, result.low > self.bound
        else:
            kept, broken = result.low >= self.bound, result.high < self.bound
        return "met" if kept else "not met" if broken else "undecided"


@dataclass(frozen=True)
class Row:
    """One result."""

    group: str
    """Name of the group of rows that this row belongs to."""
    compared: str
    """The quantity or ratio that was measured."""
    result: Estimate
    """Its value with a 95 % interval."""
    aim: Aim | None = None
    """The aim. It is `None` if the row only explains another result."""
    limit: str = ""
    """Why the result is not better, without any measured number."""
    unit: str = ""
    """Unit of result and aim; empty for ratios."""

    @property
    def verdict(self) -> Verdict:
        """Whether the aim was met."""
        return self.aim.verdict(self.result) if self.aim else "no aim"

    @property
    def result_text(self) -> str:
        """The result with its unit and its interval. A single measurement has no interval."""
        one = self.result
        form = ".3g" if self.unit else ".3f"
        value, low, high = (format(number, form) for number in (one.value, one.low, one.high))
        spread = f" ({low} to {high})" if one.low < one.high else ""
        return f"{value}{self._unit}{spread}"

    @property
    def aim_text(self) -> str:
        """The aim with its unit."""
        if self.aim is None:
            return "none"
        return f"{self.aim.bound:g}{self._unit} or {'less' if self.aim.at_most else 'more'}"

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""
