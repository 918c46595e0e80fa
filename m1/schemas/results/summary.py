"""The headline numbers, the one DVC metric: numbers and short words, for narrow tables."""

from typing import Literal

from m1.schemas.base import Record


class WorkloadSummary(Record):
    """A workload in a few numbers."""

    p99_ms: float | None
    """99th percentile of latency at the reference setting."""
    preprocess_p50_ms: float | None = None
    """Median time from an image's file to inputs on the device. No latency here includes it. Null
    if it was not measured completely."""
    before_first_token_share: float
    """Share of latency before the first token is known."""
    reference_quality: float | None
    """Quality at the reference setting; null if there is no quality."""
    steepness: float | None
    """Share of quality lost per share of latency saved, from the reference to the fastest."""
    best_setting: str | None
    """Fastest setting that keeps the decision level of quality; null if there is no quality."""


class Summary(Record):
    """The headline numbers (`summary.json`), the one DVC metric.

    Tables of experiments show the fields in this order, under these names. Sentences, such as why a
    run is invalid or has no quality, are in the contrast.
    """

    valid: Literal["yes", "ratio", "no"]
    """`yes` if the run passed every check; `ratio` if it is valid for ratios only. The words are
    short because tables of experiments are narrow."""
    qa_ms: float | None
    """Median latency of question answering at the reference setting."""
    captioning_ms: float | None
    """Median latency of captioning at the reference setting."""
    failed_checks: int
    """How many checks of validity failed."""
    findings_supported: int
    """How many findings are supported."""
    findings_refuted: int
    """How many findings are refuted."""
    failed_cells: int
    """How many cells could not be measured."""
    run: str | None
    """First digits of `made_from.run` of the contrast; null in results of earlier versions."""
    qa: WorkloadSummary
    """Question answering."""
    captioning: WorkloadSummary
    """Captioning."""
