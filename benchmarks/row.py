"""A line of the table: what is compared, what came out, and what was aimed at."""

from dataclasses import dataclass
from typing import Literal

from m1.schemas.estimates import Estimate

Verdict = Literal["met", "not met", "undecided", "no aim"]


@dataclass(frozen=True)
class Aim:
    """A bound that a result should keep."""

    bound: float
    at_most: bool = True
    """Whether the bound is the largest that will do, or the smallest."""

    def verdict(self, result: Estimate) -> Verdict:
        """Whether the whole interval keeps the bound, or none of it."""
        if self.at_most:
            kept, broken = result.high <= self.bound, result.low > self.bound
        else:
            kept, broken = result.low >= self.bound, result.high < self.bound
        return "met" if kept else "not met" if broken else "undecided"


@dataclass(frozen=True)
class Row:
    """One result."""

    group: str
    """What it belongs to."""
    compared: str
    """What is compared with what."""
    result: Estimate
    """With its 95 % interval."""
    aim: Aim | None = None
    """What was aimed at; none where a result explains another."""
    limit: str = ""
    """What keeps the result from being better, without any number that is measured."""
    unit: str = ""
    """Unit of result and aim; none for ratios."""

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
