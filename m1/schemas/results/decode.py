"""Results about decode time: the parts of its change that are due to length and to speed."""

from m1.schemas.base import Record
from m1.schemas.profile import ByStage
from m1.schemas.results.estimates import (
    Estimate,
    LatencyDistribution,
    SensitivityPoint,
    StageEstimate,
)
from m1.schemas.settings import Knob, Setting


class DecodeParts(Record):
    """A change of mean decode time, and its two parts. On the sample they sum to the change."""

    change: Estimate
    """Change from the reference setting's mean decode time; negative is faster."""
    length: Estimate
    """The part that is due to a different length of outputs."""
    speed: Estimate
    """The part that is due to a different time per token."""


class DecodeSplit(Record):
    """Decode at one setting, compared with the reference setting."""

    setting: Setting
    """The setting."""
    label: str
    """Short name of the setting: visual tokens / top_k / blocks."""
    n_steps: Estimate
    """Mean decode steps of a request, which are its tokens after the first."""
    ms_per_step: Estimate | None
    """Mean decode time divided by mean steps; null if outputs are single tokens."""
    ms: DecodeParts
    """Change of mean decode time in milliseconds."""
    percent: DecodeParts | None
    """The same in percent of the reference setting's mean decode time; null if the reference
    setting has no decode step."""


class DecodeSplits(Record):
    """Decode of one workload over the grid."""

    reference_n_steps: Estimate
    """Mean number of decode steps of a request at the reference setting."""
    reference_ms_per_step: Estimate | None
    """Mean decode time divided by mean steps there; null if outputs are single tokens."""
    settings: tuple[DecodeSplit, ...]
    """Every setting except the reference, in the order of the grid."""
    knobs: dict[Knob, tuple[DecodeSplit, ...]]
    """For each knob, the settings in which it alone moves, largest value first."""


class AtReferenceLength(Record):
    """Latency of one workload if every output is as long as the reference answer."""

    stage_breakdown: ByStage[StageEstimate]
    """E1: time and share of each stage."""
    latency: LatencyDistribution
    """E1: distribution of latencies."""
    mean_output_tokens: Estimate
    """E1: mean number of output tokens."""
    sensitivity: dict[Knob, tuple[SensitivityPoint, ...]]
    """E2: how each knob changes latency at constant length, largest value first."""
    decode_split: DecodeSplits
    """E2: change of decode time. The part that is due to length is 0."""
