"""The headline table: both workloads at the reference setting."""

from collections.abc import Iterator

from rich.table import Table

from m1.schemas.profile import STAGES
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
from m1.show.numbers import NOT_AVAILABLE, bound_in_ms, in_ms, value_in_ms, with_interval


def headline_table(result: WorkloadContrast) -> Table:
    """Latency, stages, tokens, preprocessing and quality; a column for each workload."""
    table = Table(title=f"At the reference setting {result.reference.label}")
    table.add_column("")
    for workload in WORKLOADS:
        table.add_column(f"{workload} (n = {result.latency[workload].n})", justify="right")
    for rows in (
        latency_rows(result),
        tail_rows(result),
        stage_rows(result),
        _preprocessing_rows(result),
        quality_rows(result),
    ):
        for row in rows:
            table.add_row(*row)
        table.add_section()
    return table


def latency_rows(result: WorkloadContrast) -> Iterator[tuple[str, ...]]:
    """Mean and percentiles."""
    for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms"):
        yield name, *(in_ms(getattr(result.latency[w], name)) for w in WORKLOADS)


def tail_rows(result: WorkloadContrast) -> list[tuple[str, ...]]:
    """Upper bounds of percentiles, and whether requests or the machine cause them."""
    latency = [result.latency[w] for w in WORKLOADS]
    tails = ("p95_ms", "p99_ms")
    bounds = ([one.upper_bound_ms.get(name) for name in tails] for one in latency)
    rows = [("p95, p99 at most", *(" / ".join(map(bound_in_ms, both)) for both in bounds))]
    if all(one.variation for one in latency):
        varied = [one.variation for one in latency if one.variation]
        causes = ([one.tail_cause.get(name, "not told") for name in tails] for one in varied)
        rows += [
            ("p95, p99 are made by", *(" / ".join(both) for both in causes)),
            ("spread at one request", *(f"{one.jitter:.1%}" for one in varied)),
            ("spread between requests", *(f"{one.between_requests:.1%}" for one in varied)),
        ]
    return rows


def stage_rows(result: WorkloadContrast) -> Iterator[tuple[str, ...]]:
    """Each stage's share, and the tokens written."""
    for stage in STAGES:
        shares = (result.stage_breakdown[w][stage].share for w in WORKLOADS)
        yield f"{stage} share", *(with_interval(share, ".1%") for share in shares)
    yield "output tokens", *(in_ms(result.mean_output_tokens[w]) for w in WORKLOADS)


def _preprocessing_rows(result: WorkloadContrast) -> Iterator[tuple[str, ...]]:
    """Preprocessing, which is before the total; no rows for results of earlier versions."""
    if not result.preprocessing:
        return
    before = [result.preprocessing[w] for w in WORKLOADS]
    percentiles = ([one.p50_ms, one.p95_ms] for one in before)
    relative = (one.relative_to_total for one in before)
    yield "outside the total:", *[""] * len(WORKLOADS)
    yield "  preprocess_ms", *(in_ms(one.mean_ms) for one in before)
    yield "    opening the image", *(in_ms(one.open_image_ms) for one in before)
    yield "    processor", *(in_ms(one.processor_ms) for one in before)
    yield "  its p50, p95", *(" / ".join(map(value_in_ms, both)) for both in percentiles)
    yield (
        "  relative to the total",
        *(NOT_AVAILABLE if one is None else with_interval(one, ".1%") for one in relative),
    )


def quality_rows(result: WorkloadContrast) -> list[tuple[str, ...]]:
    """Rows about quality, or a row that there is none."""
    best, cut, agreement = result.optimal_settings, result.cut_share, result.agreement
    if best is None or cut is None or agreement is None:
        return [("quality", *[NOT_AVAILABLE] * len(WORKLOADS))]
    same = (agreement[w].identical_share for w in WORKLOADS)
    return [
        *_ceiling_rows(result),
        *(
            (f"fastest at {one.level:.0%} quality", *(best[w][i].label for w in WORKLOADS))
            for i, one in enumerate(best["qa"])
        ),
        ("outputs cut at the longest", *(with_interval(cut[w], ".1%") for w in WORKLOADS)),
        ("same text in batches", *(with_interval(share, ".1%") for share in same)),
    ]


def _ceiling_rows(result: WorkloadContrast) -> list[tuple[str, ...]]:
    """The largest possible quality, if the references do not allow the full score."""
    best = [(result.frontiers or {})[w].quality_ceiling for w in WORKLOADS]
    if all(one is None or one == 1 for one in best):
        return []
    return [
        ("largest quality possible", *(NOT_AVAILABLE if b is None else f"{b:.3f}" for b in best))
    ]
