"""The headline numbers, the one DVC metric."""

from m1.schemas.base import Record


class WorkloadSummary(Record):
    """A workload in a few numbers."""

    p50_ms: float | None
    """Median latency at the reference setting."""
    p99_ms: float | None
    """99th percentile."""
    preprocess_p50_ms: float | None = None
    """Median from an image's file to inputs on the device, which no latency here includes; null
    where it was not measured whole."""
    before_first_token_share: float
    """Share of latency before the first token is known."""
    reference_quality: float | None
    """Quality at the reference setting; null where there is none."""
    steepness: float | None
    """Share of quality lost per share of latency saved, from the reference to the fastest."""
    best_setting: str | None
    """Fastest setting at the decision level of quality; null where there is none."""


class Summary(Record):
    """The headline numbers (`summary.json`), the one DVC metric."""

    valid: bool
    """Whether the run passed every check."""
    invalid_because: str | None
    """The failed checks' sentences; null where the run is valid."""
    quality_not_available: str | None
    """Why there is no quality, in a sentence; null where there is."""
    qa: WorkloadSummary
    """Question answering."""
    captioning: WorkloadSummary
    """Captioning."""
    findings_supported: int
    """How many findings are supported."""
    findings_refuted: int
    """How many are refuted."""
    failed_cells: int = 0
    """How many cells could not be measured."""
    run: str | None = None
    """The first digits of `made_from.run` of the contrast; null in results of earlier versions."""
