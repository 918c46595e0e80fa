"""Whether a run may be believed."""

from typing import Literal, Self

from pydantic import model_validator

from m1.schemas.base import Record
from m1.schemas.profile.machine import MachineState


class Check(Record):
    """One condition of a valid run."""

    name: str
    """Which condition."""
    value: float | None
    """What was measured; null where it could not be."""
    threshold: float | None
    """What is allowed, at the most or, for numbers of requests, at the least; null where the
    condition is not a number."""
    passed: bool
    """Whether the condition holds."""
    detail: str
    """One sentence with the numbers."""


class Validity(Record):
    """Whether a run may be believed."""

    verdict: Literal["valid", "invalid"]
    """`invalid` where any check failed."""
    reasons: tuple[str, ...]
    """The failed checks' sentences."""
    checks: tuple[Check, ...]
    """All checks."""
    machine: MachineState | None = None
    """What the checks of the machine rest on; null where nothing watched it."""

    @model_validator(mode="after")
    def _of_its_checks(self) -> Self:
        failed = any(not check.passed for check in self.checks)
        if not failed == bool(self.reasons) == (self.verdict == "invalid"):
            raise ValueError("invalid is a run of which a check failed, and then reasons says why")
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
        """How many checks passed, for a valid run, and how many had nothing to go by."""
        silent = sum(check.value is None for check in self.checks)
        if not silent:
            return f"all {len(self.checks)} checks passed"
        return f"{len(self.checks) - silent} checks passed, {silent} not measured"
