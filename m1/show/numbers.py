"""Numbers for tables, each with its interval."""

from m1.schemas.results.estimates import Estimate

NOT_AVAILABLE = "not available"


def with_interval(estimate: Estimate, form: str) -> str:
    """A number and its interval, each in a format such as ".1%"."""
    value, low, high = (format(v, form) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def in_ms(estimate: Estimate | None) -> str:
    """Milliseconds, or a text that there is no value."""
    return NOT_AVAILABLE if estimate is None else with_interval(estimate, ".1f")


def bound_in_ms(ms: float | None) -> str:
    """A bound, which has no interval, or a text that there is none."""
    return NOT_AVAILABLE if ms is None else f"{ms:.1f}"


def value_in_ms(estimate: Estimate | None) -> str:
    """Milliseconds without their interval, or a text that there is no value."""
    return bound_in_ms(None if estimate is None else estimate.value)
