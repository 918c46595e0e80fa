"""Checks of a run's rows: stages sum to the total, knobs took effect, samples are large enough."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from m1.params import ValidityParams
from m1.profiling.cell import Cell
from m1.profiling.checks.check import at_least, at_most, not_measured
from m1.schemas.profile import Check, MeasuredRequest
from m1.schemas.requests import WORKLOADS


def check_closure(rows: Sequence[MeasuredRequest], limits: ValidityParams) -> tuple[Check, Check]:
    """Check that stages sum to the total, in the median of every cell and for nearly all requests.

    If a stage is measured wrongly, the medians of its cells show it. If a process is interrupted
    between two readings of the clock, only single requests show it. A stage that is wrong only
    sometimes would show in the same way, so only a few such requests are allowed.
    """
    cells: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for row in rows:
        if row.marked:
            cells[Cell.of(row)].append(_closure_residual(row))
    residuals = [residual for cell in cells.values() for residual in cell] or [1.0]
    beyond = sum(residual > limits.closure for residual in residuals) / len(residuals)
    typical = max((median(cell) for cell in cells.values()), default=1.0)
    spread = f"median of all {median(residuals):.2%}, worst of all {max(residuals):.2%}"
    return (
        at_most("closure", typical, limits.closure,
                f"share of a latency outside all stages, median of the worst cell ({spread})"),
        at_most("closure_exceptions", beyond, limits.closure_exceptions,
                f"share of requests whose stages leave more than {limits.closure:.2%} unexplained "
                f"({spread})"),
    )  # fmt: skip


def _closure_residual(row: MeasuredRequest) -> float:
    """Share of a marked request's total that its stages do not explain."""
    stages = (row.vision_ms, row.projector_ms, row.prefill_ms, row.decode_ms)
    return abs(row.total_ms - sum(ms or 0.0 for ms in stages)) / row.total_ms


def check_samples(rows: Sequence[MeasuredRequest], limits: ValidityParams) -> tuple[Check, Check]:
    """Check that there are enough requests in E1, and in every cell of E2."""
    counts = Counter(Cell.of(row) for row in rows)
    least = {name: _least_requests(counts, name) for name in ("e1", "e2")}
    return (
        at_least("e1_requests", least["e1"], limits.min_e1, "requests of a workload in E1"),
        at_least("e2_requests", least["e2"], limits.min_e2, "requests of the smallest cell of E2"),
    )


def _least_requests(counts: Counter[Cell], experiment: str) -> int:
    """Requests of the smallest cell of an experiment; 0 if a workload has none."""
    mine = {cell: n for cell, n in counts.items() if cell.experiment == experiment}
    there = {cell.workload for cell in mine}
    return min(mine.values()) if there == set(WORKLOADS) else 0


def check_actuation(rows: Sequence[MeasuredRequest]) -> Check:
    """Check that the observed setting is the requested one, or the nearest possible one."""
    most = _most_observed(rows)
    wrong = sum(not _actuated(row, most) for row in rows)
    furthest = max((_visual_deviation(row) for row in rows), default=0.0)
    detail = (
        f"{wrong} of {len(rows)} requests ran at another setting than was planned; "
        f"visual tokens planned within {furthest:.1%} of what was asked for"
    )
    return Check(
        name="actuation", value=float(wrong), threshold=0.0, passed=wrong == 0, detail=detail
    )


def _most_observed(rows: Sequence[MeasuredRequest]) -> tuple[int | None, int | None]:
    """The largest observed numbers of experts and of blocks: those of the untouched model."""
    top_k = (row.observed_top_k for row in rows if row.observed_top_k)
    blocks = (row.observed_active_blocks for row in rows if row.observed_active_blocks)
    return max(top_k, default=None), max(blocks, default=None)


def _actuated(row: MeasuredRequest, most: tuple[int | None, int | None]) -> bool:
    """Whether a row's observations agree with its setting. Missing observations agree.

    Args:
        row: the row.
        most: numbers of experts and of blocks at the native setting, where anchors run.
    """
    native = most if row.experiment == "anchor" else (None, None)
    planned_and_seen = (
        (row.planned_vision_tokens, row.observed_vision_tokens),
        (row.top_k or native[0], row.observed_top_k),
        (row.active_blocks or native[1], row.observed_active_blocks),
    )
    return all(planned == seen for planned, seen in planned_and_seen if None not in (planned, seen))


def _visual_deviation(row: MeasuredRequest) -> float:
    """The relative distance of the planned number of visual tokens from the requested one."""
    asked = row.vision_tokens or row.planned_vision_tokens
    return abs(row.planned_vision_tokens - asked) / asked if asked else 0.0


def check_cut_outputs(rows: Sequence[MeasuredRequest], threshold: float) -> Check:
    """Check that at the reference setting most outputs that may end by themselves did so.

    If more than half of them are cut, the median latency shows the limit and not the model. At
    smaller settings a model may write without end. That is a result, not a fault; `cut_share`
    reports it for each setting.
    """
    free = [row for row in rows if row.experiment == "e1" and row.decode_mode == "free"]
    if not free:
        reason = "outputs had a fixed length, so none was cut"
        return not_measured("cut_outputs", threshold, reason, passed=True)
    shares = {
        w: sum(row.finish_reason == "length" for row in own) / len(own)
        for w in WORKLOADS
        if (own := [row for row in free if row.workload == w])
    }
    shown = ", ".join(f"{workload} {share:.0%}" for workload, share in shares.items())
    largest = max(shares.values())
    sentence = f"share of a workload's outputs cut at the longest one ({shown})"
    check = at_most("cut_outputs", largest, threshold, sentence)
    hint = "; raise profile.max_new_tokens, or see whether eos_token_id is the model's end token"
    return check if check.passed else check.model_copy(update={"detail": check.detail + hint})
