"""Whether a run is valid, and which of its claims are."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record
from m1.schemas.profile.machine import MachineState

Verdict = Literal["valid", "valid for ratios", "invalid"]
Spoiled = Literal["everything", "milliseconds"]


class Check(Record):
    """One condition of a valid run."""

    name: str
    """Name of the condition."""
    value: float | None
    """The measured value; null if it could not be measured."""
    threshold: float | None
    """The largest allowed value or, for numbers of requests, the smallest. Null if the condition is
    not a number."""
    passed: bool
    """Whether the condition holds."""
    detail: str
    """One sentence with the numbers."""
    spoils: Spoiled = "everything"
    """What a run cannot claim if the check fails. `milliseconds`: absolute times. Ratios of times
    hold, because the anchors show how the machine's speed changed."""


class Validity(Record):
    """Whether a run is valid."""

    verdict: Verdict
    """`valid for ratios` if only checks failed that spoil nothing but milliseconds: shares of
    stages, effects of knobs, frontiers as fractions, and findings hold. `invalid` if any other
    check failed."""
    reasons: tuple[str, ...]
    """The failed checks' sentences."""
    checks: tuple[Check, ...]
    """All checks."""
    machine: MachineState | None = None
    """The observations for the checks of the machine; null if the machine was not watched."""

    @classmethod
    def of(cls, checks: tuple[Check, ...], machine: MachineState | None = None) -> Self:
        """The validity that follows from checks."""
        return cls(
            verdict=_verdict(checks),
            reasons=tuple(check.detail for check in checks if not check.passed),
            checks=checks,
            machine=machine,
        )

    @model_validator(mode="after")
    def _of_its_checks(self) -> Self:
        if self.verdict != _verdict(self.checks) or bool(self.reasons) == (self.verdict == "valid"):
            raise ValueError("the verdict and its reasons are not those of the checks")
        return self

    @property
    def spoils_milliseconds(self) -> bool:
        """Whether the machine's speed was not constant, so that milliseconds say less."""
        return any(c.spoils == "milliseconds" for c in self.checks if not c.passed)

    @property
    def in_short(self) -> str:
        """The verdict in a few words, such as "INVALID: drift, jitter and 3 more"."""
        failed = [check.name for check in self.checks if not check.passed]
        if not failed:
            return "valid"
        more = f" and {len(failed) - 2} more" if len(failed) > 2 else ""
        title = "INVALID" if self.verdict == "invalid" else self.verdict
        return f"{title}: {', '.join(failed[:2])}{more}"

    @property
    def tally(self) -> str:
        """For a valid run: how many checks passed, and how many had no measured value."""
        silent = sum(check.value is None for check in self.checks)
        if not silent:
            return f"all {len(self.checks)} checks passed"
        return f"{len(self.checks) - silent} checks passed, {silent} not measured"


def _verdict(checks: tuple[Check, ...]) -> Verdict:
    spoiled = {check.spoils for check in checks if not check.passed}
    if not spoiled:
        return "valid"
    return "valid for ratios" if spoiled == {"milliseconds"} else "invalid"
