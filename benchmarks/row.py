"""A line of the table: the comparison, its result, and the aim."""

from dataclasses import dataclass
from typing import Literal

from m1.schemas.estimates import Estimate

Verdict = Literal["met", "not met", "undecided", "no aim"]


@dataclass(frozen=True)
class Aim:
    """A limit for a result."""

    bound: float
    at_most: bool = True
    """Whether the limit is an upper limit; else it is a lower limit."""

    def verdict(self, result: Estimate) -> Verdict:
        """Whether the whole interval, a part, or nothing of it is within the limit."""
        if self.at_most:
            kept, broken = result.high <= self.bound, result.low > self.bound
        else:
            kept, broken = result.low >= self.bound, result.high < self.bound
        return "met" if kept else "not met" if broken else "undecided"


@dataclass(frozen=True)
class Row:
    """One result."""

    group: str
    """Group of the result in the table."""
    compared: str
    """The two things that are compared."""
    result: Estimate
    """The result with its 95 % interval."""
    aim: Aim | None = None
    """The aim; `None` for a result that only explains another one."""
    limit: str = ""
    """The reason why the result is not better, without measured numbers."""
    unit: str = ""
    """Unit of result and aim; empty for ratios."""

    @property
    def verdict(self) -> Verdict:
        """Whether the aim was met."""
        return self.aim.verdict(self.result) if self.aim else "no aim"

    @property
    def result_text(self) -> str:
        """The result with its unit and interval; none of those that were measured once."""
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
