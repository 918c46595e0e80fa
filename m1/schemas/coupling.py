"""How the frontier over some knobs depends on the value of another."""

from m1.schemas.base import Record
from m1.schemas.estimates import Estimate
from m1.schemas.settings import Knob


class FixedKnob(Record):
    """The frontier over the other knobs, one knob fixed at one value."""

    value: int
    """Value of the knob."""
    labels: tuple[str, ...]
    """Settings on the frontier, fastest first."""
    hypervolume: Estimate
    """Its area, comparable with that of the whole grid."""
    hypervolume_change: Estimate
    """Area minus that with the knob at its reference value, where it is 0."""
    latency_shift: Estimate
    """Latency needed for a quality minus that needed with the knob at its reference value, in
    fractions of the reference setting's latency, mean over qualities; negative is faster."""


class Coupling(Record):
    """How far the knobs of one workload depend on each other."""

    fixed: dict[Knob, tuple[FixedKnob, ...]]
    """By knob with more than one value: the frontier at each, the reference value first."""
    joint_gains: dict[Knob, Estimate]
    """By knob with more than one value: area of the whole grid minus that of the knob alone."""
    best_single_knob: Knob | None
    """The knob that alone has the largest area; null where no knob has two values."""
    joint_gain: Estimate | None
    """Area of the whole grid minus that of the best single knob, which is chosen anew in each
    resample. Never below 0, for the grid holds every single knob's settings."""
