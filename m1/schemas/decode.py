"""What is said about decode time: how much of its change is length, and how much speed."""

from m1.schemas.base import Record
from m1.schemas.estimates import Estimate, LatencyDistribution, SensitivityPoint, StageEstimate
from m1.schemas.profile import ByStage
from m1.schemas.settings import Knob, Setting


class DecodeParts(Record):
    """A change of mean decode time in two parts; on the sample they sum to it."""

    change: Estimate
    """From the reference setting's mean decode time; negative is faster."""
    length: Estimate
    """What outputs of another length make of it."""
    speed: Estimate
    """What tokens of another speed make of it."""


class DecodeSplit(Record):
    """Decode at one setting, against the reference setting."""

    setting: Setting
    """The setting."""
    label: str
    """Its short name: visual tokens / top_k / blocks."""
    n_steps: Estimate
    """Mean decode steps of a request: its tokens after the first."""
    ms_per_step: Estimate | None
    """Mean decode time over mean steps; null where outputs are single tokens."""
    ms: DecodeParts
    """Change of mean decode time in milliseconds."""
    percent: DecodeParts | None
    """The same in percent of the reference setting's; null where that has no decode step."""


class DecodeSplits(Record):
    """Decode of one workload over the grid."""

    reference_n_steps: Estimate
    """Mean decode steps of a request at the reference setting."""
    reference_ms_per_step: Estimate | None
    """Mean decode time over mean steps there; null where outputs are single tokens."""
    settings: tuple[DecodeSplit, ...]
    """Every setting but the reference, in the grid's order."""
    knobs: dict[Knob, tuple[DecodeSplit, ...]]
    """Those in which one knob alone moves, by knob, largest value first."""


class AtReferenceLength(Record):
    """Latency of one workload where every output is as long as the reference answer."""

    stage_breakdown: ByStage[StageEstimate]
    """E1: each stage's time and share."""
    latency: LatencyDistribution
    """E1: distribution of latencies."""
    mean_output_tokens: Estimate
    """E1: tokens written."""
    sensitivity: dict[Knob, tuple[SensitivityPoint, ...]]
    """E2: what each knob does to latency with length held constant, largest value first."""
    decode_split: DecodeSplits
    """E2: change of decode time; the part of length is 0."""
