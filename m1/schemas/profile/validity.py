"""Whether a run is valid."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record
from m1.schemas.profile.machine import MachineState


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


class Validity(Record):
    """Whether a run is valid."""

    verdict: Literal["valid", "invalid"]
    """`invalid` if any check failed."""
    reasons: tuple[str, ...]
    """The failed checks' sentences."""
    checks: tuple[Check, ...]
    """All checks."""
    machine: MachineState | None = None
    """The observations for the checks of the machine; null if the machine was not watched."""

    @model_validator(mode="after")
    def _of_its_checks(self) -> Self:
        failed = any(not check.passed for check in self.checks)
        if not failed == bool(self.reasons) == (self.verdict == "invalid"):
            raise ValueError("a run is invalid and has reasons if and only if a check failed")
        return self

    @property
    def in_short(self) -> str:
        """The verdict in a few words, such as "INVALID: drift, jitter and 3 more"."""
        failed = [check.name for check in self.checks if not check.passed]
        if not failed:
            return "valid"
        more = f" and {len(failed) - 2} more" if len(failed) > 2 else ""
        return f"INVALID: {', '.join(failed[:2])}{more}"

    @property
    def tally(self) -> str:
        """For a valid run: how many checks passed, and how many had no measured value."""
        silent = sum(check.value is None for check in self.checks)
        if not silent:
            return f"all {len(self.checks)} checks passed"
        return f"{len(self.checks) - silent} checks passed, {silent} not measured"
