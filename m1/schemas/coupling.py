"""How the frontier over some knobs depends on the value of another knob."""

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
    """Area of this frontier, on the same scale as the area of the whole grid."""
    hypervolume_change: Estimate
    """This area minus the area with the knob at its reference value. At the reference value it is
    0."""
    latency_shift: Estimate
    """Latency needed for a quality, minus the latency needed with the knob at its reference value.
    It is a mean over qualities, in fractions of the reference setting's latency. Negative means
    faster."""


class Coupling(Record):
    """How much the knobs of one workload depend on each other."""

    fixed: dict[Knob, tuple[FixedKnob, ...]]
    """For each knob with several values: the frontier at each value, the reference value first."""
    joint_gains: dict[Knob, Estimate]
    """For each knob with several values: area of the whole grid minus the area of this knob
    alone."""
    best_single_knob: Knob | None
    """The knob with the largest area when it moves alone; null if no knob has two values."""
    joint_gain: Estimate | None
    """Area of the whole grid minus the area of the best single knob. Each resample chooses its own
    best knob. The difference is never below 0, because the grid contains the settings of every
    single knob."""
