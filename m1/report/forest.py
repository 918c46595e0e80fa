"""The findings. Each effect is drawn together with the smallest effect that matters."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from m1.schemas.results import Finding, WorkloadContrast

TICKS = (-100, -10, -1, 0, 1, 10, 100)
LEAST_REACH = 3.0  # times the smallest effect, on both sides
WIDTH = 100.0


@dataclass(frozen=True)
class Tick:
    """A tick of the scale."""

    at: float
    """Place of the tick from the left, in percent."""
    label: str


@dataclass(frozen=True)
class Effect:
    """A finding, and the places of its effect and interval, in percent from the left."""

    finding: Finding
    number: str
    """Effect and interval in words."""
    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Forest:
    """Effects on one scale. Each is a multiple of the smallest effect that matters for it."""

    effects: tuple[Effect, ...]
    ticks: tuple[Tick, ...]
    smallest_at: float
    """The place of the smallest effect that matters, in percent from the left."""

    @classmethod
    def of(cls, contrast: WorkloadContrast) -> "Forest":
        """The findings of a run, on a scale on which all of them fit.

        The scale is linear near 0 and logarithmic far from it. Some effects are a hundred times as
        large as the smallest effect that matters, and others hardly matter.
        """
        ends = [x for finding in contrast.findings for x in _multiples(finding)]
        reach = math.asinh(max([LEAST_REACH, *map(abs, ends)]) * 1.15)

        def place(multiple: float) -> float:
            return round(WIDTH / 2 * (1 + math.asinh(multiple) / reach), 2)

        ticks = (Tick(place(t), str(t).replace("-", "−")) for t in TICKS)
        return cls(
            effects=tuple(
                _effect(finding, *map(place, _multiples(finding))) for finding in contrast.findings
            ),
            ticks=tuple(t for t in ticks if 0 <= t.at <= WIDTH),
            smallest_at=place(1),
        )


def _multiples(finding: Finding) -> Iterator[float]:
    """The effect and both ends of its interval, as multiples of the smallest effect that matters.

    If every effect matters (the smallest is 0), the unit is the largest of these three numbers.
    """
    ends = (finding.effect, finding.low, finding.high)
    unit = finding.smallest_effect or max(map(abs, ends)) or 1.0
    return (end / unit for end in ends)


def _effect(finding: Finding, at: float, start: float, end: float) -> Effect:
    number = f"{finding.effect:.3g} ({finding.low:.3g} to {finding.high:.3g})"
    return Effect(finding, number, at, start, end)
