"""A made-up contrast of both workloads, as a SceneVLM on a CPU might give it."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from m1.figures.latency_cdf import LatencyPoint
from m1.origin import rows_fingerprint
from m1.schemas.coupling import Coupling, FixedKnob
from m1.schemas.decode import DecodeParts, DecodeSplit, DecodeSplits
from m1.schemas.estimates import Variation
from m1.schemas.profile import STAGES, Check, DeviceRates, Provenance, Stage, Validity
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import (
    Agreement,
    Answers,
    Estimate,
    Frontier,
    FrontierPoint,
    LatencyDistribution,
    NotTested,
    Preprocessing,
    SampleSize,
    SensitivityPoint,
    SingleKnobFrontier,
    StageEstimate,
    WorkloadContrast,
)
from m1.schemas.roofline import CellRoofline, StageRoofline
from m1.schemas.settings import KNOBS, Knob, Setting

GRID = tuple(
    Setting(vision_tokens=v, top_k=k, active_blocks=b)
    for v, k, b in product((144, 36, 16), (4, 2, 1), (8, 6, 4))
)
STAGE_MS: dict[Workload, dict[Stage, float]] = {
    "qa": {"vision": 5.1, "projector": 0.31, "prefill": 22.8, "decode": 4.2},
    "captioning": {"vision": 5.0, "projector": 0.3, "prefill": 23.3, "decode": 161.0},
}
QUALITY: dict[Workload, float] = {"qa": 0.95, "captioning": 5.9}
METRICS: dict[Workload, str] = {"qa": "vqa_accuracy", "captioning": "cider_d"}
N_E1, N_E2, N_SCORED = 300, 40, 120


def estimate(value: float, relative: float = 0.03) -> Estimate:
    """A number with an interval of `relative` on each side."""
    half = abs(value) * relative
    return Estimate(value=value, low=value - half, high=value + half)


def stage_ms(workload: Workload, setting: Setting) -> dict[Stage, float]:
    """Prefill follows visual tokens, prefill and decode follow experts and blocks."""
    tokens, experts, blocks = (float(getattr(setting, knob) or 0) for knob in KNOBS)
    work = (0.4 + 0.15 * experts) * blocks / 8
    base = STAGE_MS[workload]
    return {
        "vision": base["vision"],
        "projector": base["projector"] * (0.3 + 0.7 * tokens / 144),
        "prefill": base["prefill"] * work * (0.25 + 0.75 * tokens / 144),
        "decode": base["decode"] * work * (0.85 + 0.15 * tokens / 144),
    }


def total_ms(workload: Workload, setting: Setting) -> float:
    return sum(stage_ms(workload, setting).values())


def quality_of(workload: Workload, setting: Setting) -> float:
    """Captions need experts and blocks most, answers need visual tokens."""
    tokens, experts, blocks = (float(getattr(setting, knob) or 0) for knob in KNOBS)
    detail, depth = (0.5, 0.4) if workload == "qa" else (0.12, 1.6)
    kept = (tokens / 144) ** (0.35 * detail) * (experts / 4) ** (0.2 * depth)
    wobble = 0.02 * np.sin(tokens + 3 * experts + 7 * blocks)
    return float(QUALITY[workload] * (kept * (blocks / 8) ** depth + wobble))


def breakdown(workload: Workload) -> dict[Stage, StageEstimate]:
    times = STAGE_MS[workload]
    total = sum(times.values())
    return {
        stage: StageEstimate(mean_ms=estimate(times[stage]), share=estimate(times[stage] / total))
        for stage in STAGES
    }


def preprocessing(workload: Workload) -> Preprocessing:
    """As on a photograph of 640 x 480 pixels."""
    return Preprocessing(
        mean_ms=estimate(7.4),
        p50_ms=estimate(7.2),
        p95_ms=estimate(9.1),
        relative_to_total=estimate(7.4 / sum(STAGE_MS[workload].values())),
        open_image_ms=estimate(4.5),
        processor_ms=estimate(2.9),
    )


def latencies_ms(workload: Workload) -> list[float]:
    """Sorted latencies of E1's requests: captions differ in length, answers hardly."""
    spread = 0.04 if workload == "qa" else 0.17
    draws = np.random.default_rng(1).lognormal(0, spread, N_E1)
    return sorted(sum(STAGE_MS[workload].values()) * float(draw) for draw in draws)


def distribution(workload: Workload) -> LatencyDistribution:
    values = latencies_ms(workload)
    p50, p95, p99 = (float(q) for q in np.quantile(values, (0.5, 0.95, 0.99)))
    return LatencyDistribution(
        n=len(values),
        mean_ms=estimate(float(np.mean(values)), 0.01),
        p50_ms=estimate(p50, 0.01),
        p95_ms=estimate(p95, 0.02),
        p99_ms=estimate(p99, 0.05),
        not_available={},
        upper_bound_ms={"p50_ms": p50, "p95_ms": 1.01 * p95, "p99_ms": 1.02 * p99},
        variation=Variation(
            n_requests=3,
            n_measurements=60,
            jitter=0.026,
            between_requests=0.081,
            request_share=0.91,
            tail_cause={"p95_ms": "requests", "p99_ms": "machine"},
        ),
    )


def cdf_points() -> list[LatencyPoint]:
    return [
        LatencyPoint(
            workload=workload,
            latency_ms=latency,
            share_of_requests=(i + 1) / N_E1,
            validity="valid",
        )
        for workload in WORKLOADS
        for i, latency in enumerate(latencies_ms(workload))
    ]


def frontier(workload: Workload) -> Frontier:
    points = sorted(
        (frontier_point(workload, setting) for setting in GRID),
        key=lambda point: point.latency_ms.value,
    )
    return Frontier(
        workload=workload,
        latency_statistic="median",
        quality_metric=METRICS[workload],
        timed=SampleSize(n_requests=N_E2, n_images=N_E2, n_clusters=N_E2),
        scored=SampleSize(n_requests=N_SCORED, n_images=N_SCORED, n_clusters=N_SCORED),
        reference=GRID[0],
        points=tuple(points),
        hypervolume=estimate(0.6),
        hypervolume_reference_point=(1.1, 0.0),
        steepness=estimate(0.41, 0.2),
        best_settings=(),
        single_knob=tuple(
            SingleKnobFrontier(knob=knob, labels=(), hypervolume=estimate(0.3 + 0.05 * i))
            for i, knob in enumerate(KNOBS)
        ),
        coupling=coupling(points),
    )


def coupling(points: Sequence[FrontierPoint]) -> Coupling:
    return Coupling(
        fixed={knob: tuple(fixed_knobs(knob, points)) for knob in KNOBS},
        joint_gains={knob: estimate(0.3 - 0.05 * i) for i, knob in enumerate(KNOBS)},
        best_single_knob="active_blocks",
        joint_gain=estimate(0.2),
    )


def fixed_knobs(knob: Knob, points: Sequence[FrontierPoint]) -> Iterator[FixedKnob]:
    """The frontier at each value of a knob, fastest first as the points are."""
    for rank, value in enumerate(sorted({getattr(s, knob) for s in GRID}, reverse=True)):
        here = [point for point in points if getattr(point.setting, knob) == value]
        best = [
            point
            for i, point in enumerate(here)
            if all(point.quality.value > other.quality.value for other in here[:i])
        ]
        yield FixedKnob(
            value=value,
            labels=tuple(point.label for point in best),
            hypervolume=estimate(0.5 - 0.02 * rank),
            hypervolume_change=estimate(-0.02 * rank),
            latency_shift=estimate(0.051 * rank),
        )


def frontier_point(workload: Workload, setting: Setting) -> FrontierPoint:
    here = total_ms(workload, setting), quality_of(workload, setting)
    beaten = any(
        total_ms(workload, other) < here[0] and quality_of(workload, other) >= here[1]
        for other in GRID
    )
    return FrontierPoint(
        setting=setting,
        label=setting.label,
        latency_ms=estimate(here[0], 0.02),
        quality=estimate(here[1], 0.05),
        latency_fraction=estimate(here[0] / total_ms(workload, GRID[0])),
        quality_fraction=estimate(here[1] / quality_of(workload, GRID[0])),
        on_frontier=not beaten,
        frontier_share=0.15 if beaten else 0.85,
        cut_share=estimate(0.02),
        further_quality={},
    )


def sensitivity(workload: Workload, knob: Knob) -> tuple[SensitivityPoint, ...]:
    reference = GRID[0]
    values = sorted({getattr(setting, knob) for setting in GRID}, reverse=True)
    settings = [reference.model_copy(update={knob: value}) for value in values]
    return tuple(
        SensitivityPoint(
            value=value,
            latency_change_percent=estimate(
                100 * (total_ms(workload, setting) / total_ms(workload, reference) - 1), 0.08
            ),
            stage_change_percent={stage: estimate(-1.0) for stage in STAGES},
            quality_change_percent=estimate(-5.0),
            main_effect_percent=estimate(-20.0),
        )
        for value, setting in zip(values, settings, strict=True)
    )


def decode_splits(workload: Workload) -> DecodeSplits:
    """Outputs get a twentieth longer with each value, and tokens faster with the setting."""
    splits = [decode_split(workload, setting) for setting in GRID[1:]]
    knobs = {knob: tuple(s for s in splits if moves_alone(knob, s.setting)) for knob in KNOBS}
    return DecodeSplits(
        reference_n_steps=estimate(44.0),
        reference_ms_per_step=estimate(3.7),
        settings=tuple(splits),
        knobs=knobs,
    )


def moves_alone(knob: Knob, setting: Setting) -> bool:
    return all((getattr(setting, k) != getattr(GRID[0], k)) == (k == knob) for k in KNOBS)


def decode_split(workload: Workload, setting: Setting) -> DecodeSplit:
    reference = stage_ms(workload, GRID[0])["decode"]
    speed = stage_ms(workload, setting)["decode"] - reference
    length = 0.05 * reference
    return DecodeSplit(
        setting=setting,
        label=setting.label,
        n_steps=estimate(46.0),
        ms_per_step=estimate(2.5),
        ms=decode_parts(length, speed),
        percent=decode_parts(100 * length / reference, 100 * speed / reference),
    )


def decode_parts(length: float, speed: float) -> DecodeParts:
    return DecodeParts(
        change=estimate(length + speed), length=estimate(length), speed=estimate(speed)
    )


RATES = DeviceRates(copy_gb_per_s=20.0, matrix_tflop_per_s=0.1)


def roofline(workload: Workload) -> tuple[CellRoofline, ...]:
    """Decode is bound by bytes and far from its floor, the rest by operations and near."""
    times = stage_ms(workload, GRID[0]) | {"decode": 3.7 if workload == "captioning" else 4.2}
    return tuple(
        CellRoofline(
            setting=setting,
            label=setting.label,
            stages={
                s: stage_roofline(ms, 16.0 if s == "decode" else 2.5) for s, ms in times.items()
            },
        )
        for setting in GRID[:2]
    )


def stage_roofline(ms: float, over_floor: float) -> StageRoofline:
    """A stage of so many times its floor; far from it by bytes, near it by operations."""
    floor_ms, by_bytes = ms / over_floor, over_floor > 10
    operations_ms, bytes_ms = (floor_ms / 10, floor_ms) if by_bytes else (floor_ms, floor_ms / 10)
    return StageRoofline(
        operations=operations_ms * RATES.matrix_tflop_per_s * 1e9,
        read_bytes=bytes_ms * RATES.copy_gb_per_s * 1e6,
        floor_ms=floor_ms,
        bound_by="bytes" if by_bytes else "operations",
        measured_ms=estimate(ms),
        over_floor=estimate(over_floor),
        share_of_matrix_rate=operations_ms / ms,
        share_of_bandwidth=bytes_ms / ms,
    )


def validity(*reasons: str) -> Validity:
    check = Check(name="closure", value=0.002, threshold=0.01, passed=not reasons, detail="")
    verdict: Any = "invalid" if reasons else "valid"
    return Validity(verdict=verdict, reasons=reasons, checks=(check,) * 7)


def provenance() -> Provenance:
    return Provenance(
        started_at="2025-01-01T00:00:00Z",
        duration_s=900.0,
        model="data/models/scene-vlm",
        model_changes={},
        model_class="SceneVLM",
        model_fingerprint="0" * 64,
        revision=None,
        weights="pretrained",
        data_fingerprints={"qa": "1" * 64, "captioning": "2" * 64},
        device="AMD EPYC 7B13",
        device_type="cpu",
        n_cores=2,
        n_threads=2,
        memory_gb=8.0,
        platform="Linux x86_64",
        dtype="float32",
        image_processor="SimulatedImageProcessor",
        experts_implementation="eager",
        attention_implementation="sdpa",
        runtime="eager",
        versions={"torch": "2.11"},
        git_commit=None,
    )


def agreement() -> Agreement:
    return Agreement(
        n_pairs=1000, identical_share=estimate(0.98, 0.01), quality_difference=estimate(-0.001)
    )


WHY = "The weights are random, so answers mean nothing."


def contrast_without_quality() -> WorkloadContrast:
    """The same, where outputs are no answers."""
    kept = {
        w: {
            k: tuple(
                p.model_copy(update={"quality_change_percent": None}) for p in sensitivity(w, k)
            )
            for k in KNOBS
        }
        for w in WORKLOADS
    }
    untested = NotTested(id="qa-frontier-steeper", claim="One is steeper.", reason=WHY)
    nothing = dict.fromkeys(("frontiers", "optimal_settings", "cut_share", "agreement"))
    return contrast(quality_not_available=WHY, sensitivity=kept, not_tested=(untested,), **nothing)


def contrast(**changes: Any) -> WorkloadContrast:
    """The whole contrast, with fields replaced."""
    fields: dict[str, Any] = {
        "provenance": provenance(),
        "validity": validity(),
        "reference": GRID[0],
        "device_rates": RATES,
        "roofline": {w: roofline(w) for w in WORKLOADS},
        "confidence": 0.95,
        "stage_breakdown": {w: breakdown(w) for w in WORKLOADS},
        "latency": {w: distribution(w) for w in WORKLOADS},
        "preprocessing": {w: preprocessing(w) for w in WORKLOADS},
        "mean_output_tokens": {"qa": estimate(2.1), "captioning": estimate(45.0)},
        "timed": {
            w: SampleSize(n_requests=N_E2, n_images=N_E2, n_clusters=N_E2) for w in WORKLOADS
        },
        "quality_not_available": None,
        "frontiers": {w: frontier(w) for w in WORKLOADS},
        "optimal_settings": dict.fromkeys(WORKLOADS, ()),
        "cut_share": dict.fromkeys(WORKLOADS, estimate(0.02)),
        "agreement": dict.fromkeys(WORKLOADS, agreement()),
        "sensitivity": {w: {k: sensitivity(w, k) for k in KNOBS} for w in WORKLOADS},
        "decode_split": {w: decode_splits(w) for w in WORKLOADS},
        "at_reference_length": None,
        "latency_cdf_fingerprint": rows_fingerprint(cdf_points()),
        "findings": (),
        "not_tested": (),
        "answers": Answers(
            latency_difference="",
            dominant_stages="",
            optimal_settings="",
            frontier_structure="",
        ),
    }
    return WorkloadContrast(**fields | changes)
