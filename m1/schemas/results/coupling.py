"""How the frontier over some knobs depends on the value of another knob."""

from m1.schemas.base import Record
from m1.schemas.results.estimates import Estimate
from m1.schemas.settings import Knob


class FixedKnob(Record):
    """The frontier over the other knobs, with one knob fixed at one value."""

    value: int
    """Value of the fixed knob."""
    labels: tuple[str, ...]
    """Settings on the frontier, fastest first."""
    hypervolume: Estimate
    """Area of this frontier, on the same scale as the area of the whole grid."""
    hypervolume_change: Estimate
    """Its area minus the area with the knob at the reference value. At that value it is 0."""
    latency_shift: Estimate
    """Additional latency that is needed for the same quality, compared with the knob at its
    reference value. It is a mean over qualities, as a fraction of the reference setting's latency.
    Negative is faster."""


class Coupling(Record):
    """How much the knobs of one workload depend on each other."""

    fixed: dict[Knob, tuple[FixedKnob, ...]]
    """For each knob with more than one value: the frontier at each value, the reference value
    first."""
    joint_gains: dict[Knob, Estimate]
    """For each knob with more than one value: area of the whole grid minus area of this knob
    alone."""
    best_single_knob: Knob | None
    """The knob that alone has the largest area; null if no knob has two values."""
    joint_gain: Estimate | None
    """Area of the whole grid minus area of the best single knob. The best knob is chosen again in
    each resample. It is never below 0, since the grid contains the settings of every single
    knob. Null if no knob has two values."""
