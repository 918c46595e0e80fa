"""The change of decode time, split into a part of length and a part of speed."""

from m1.schemas.base import Record
from m1.schemas.estimates import Estimate, LatencyDistribution, SensitivityPoint, StageEstimate
from m1.schemas.profile import ByStage
from m1.schemas.settings import Knob, Setting


class DecodeParts(Record):
    """A change of mean decode time in two parts, which sum to it on the sample."""

    change: Estimate
    """Change from the reference setting's mean decode time; negative means faster."""
    length: Estimate
    """The part that comes from longer or shorter outputs."""
    speed: Estimate
    """The part that comes from slower or faster tokens."""


class DecodeSplit(Record):
    """Decode at one setting, compared with the reference setting."""

    setting: Setting
    """The setting."""
    label: str
    """Short name of the setting: visual tokens / top_k / blocks."""
    n_steps: Estimate
    """Mean number of decode steps of a request: its tokens after the first one."""
    ms_per_step: Estimate | None
    """Mean decode time divided by mean steps; null if outputs are single tokens."""
    ms: DecodeParts
    """Change of mean decode time in milliseconds."""
    percent: DecodeParts | None
    """The same in percent of the reference setting's decode time; null if that setting has no
    decode step."""


class DecodeSplits(Record):
    """Decode of one workload over the grid."""

    reference_n_steps: Estimate
    """Mean number of decode steps of a request at the reference setting."""
    reference_ms_per_step: Estimate | None
    """Mean decode time divided by mean steps at the reference setting; null if outputs are single
    tokens."""
    settings: tuple[DecodeSplit, ...]
    """Every setting except the reference, in the order of the grid."""
    knobs: dict[Knob, tuple[DecodeSplit, ...]]
    """For each knob: the settings in which this knob alone moves, largest value first."""


class AtReferenceLength(Record):
    """Latency of one workload if every output is as long as the reference answer."""

    stage_breakdown: ByStage[StageEstimate]
    """E1: time and share of each stage."""
    latency: LatencyDistribution
    """E1: distribution of latencies."""
    mean_output_tokens: Estimate
    """E1: mean number of output tokens."""
    sensitivity: dict[Knob, tuple[SensitivityPoint, ...]]
    """E2: effect of each knob on latency at constant length, largest value first."""
    decode_split: DecodeSplits
    """E2: change of decode time. Its part of length is 0."""
