"""Answers to the four key questions, in plain sentences made only from the numbers."""

from collections.abc import Iterable, Mapping, Sequence

from m1.analysis.frontier.frontier import best_at
from m1.schemas.profile import Stage
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import (
    BestSetting,
    Estimate,
    Finding,
    Frontier,
    KeyAnswers,
    LatencyDistribution,
    NotTested,
    StageEstimate,
    StageResult,
    Verdict,
)

NAMES: dict[Workload, str] = {"qa": "question answering", "captioning": "captioning"}
ABOUT: dict[str, tuple[str, ...]] = {
    "latency_difference": (
        "qa-more-sensitive-to-vision-tokens",
        "captioning-more-sensitive-to-active-blocks",
        "captioning-more-sensitive-to-top-k",
    ),
    "dominant_stages": ("qa-prefill-heavy", "captioning-decode-heavy"),
    "optimal_settings": ("qa-prefers-fewer-vision-tokens", "captioning-prefers-fewer-blocks"),
    "frontier_structure": ("qa-frontier-steeper",),
}
"""Ids of the findings that help to answer each question."""


def answer_key_questions(
    stages: StageResult,
    ms_per_token: Mapping[Workload, Estimate | None],
    frontiers: Mapping[Workload, Frontier] | None,
    quality_not_available: str | None,
    decision_level: float,
    findings: Sequence[Finding],
    not_tested: Sequence[NotTested],
) -> KeyAnswers:
    """Answer the four key questions.

    Args:
        stages: latency, stages and tokens at the reference setting.
        ms_per_token: decode time of a token at that setting; `None` if outputs are single tokens.
        frontiers: each workload's frontier; `None` if there is no quality.
        quality_not_available: why there is no quality, in a sentence.
        decision_level: share of reference quality at which the best setting is named.
        findings: the expectations that could be tested.
        not_tested: the expectations that could not be tested.

    Raises:
        UserError: if the frontiers have no best setting at the level.
    """
    nothing = f"There is no quality to compare. {quality_not_available}"
    numbers = {
        "latency_difference": _latency_difference(stages, ms_per_token),
        "dominant_stages": _dominant_stages(stages.stage_breakdown),
        "optimal_settings": _optimal_settings(frontiers, decision_level) if frontiers else nothing,
        "frontier_structure": _frontier_structure(frontiers) if frontiers else nothing,
    }
    judged = {question: verdicts_on(ids, findings, not_tested) for question, ids in ABOUT.items()}
    return KeyAnswers(**{question: f"{numbers[question]} {judged[question]}" for question in ABOUT})


def verdicts_on(
    ids: Sequence[str], findings: Sequence[Finding], not_tested: Sequence[NotTested]
) -> str:
    """The verdicts on some expectations: a sentence for each verdict or reason that occurs."""
    by_id = {finding.id: finding for finding in findings if finding.id in ids}
    verdicts: tuple[Verdict, ...] = ("supported", "refuted", "inconclusive")
    groups = {v: [_clause(f.claim) for f in by_id.values() if f.verdict == v] for v in verdicts}
    judged = [f"{v.capitalize()}: {'; '.join(claims)}." for v, claims in groups.items() if claims]
    return " ".join([*judged, *_missing([one for one in not_tested if one.id in ids])])


def _missing(not_tested: Sequence[NotTested]) -> list[str]:
    claims: dict[str, list[str]] = {}
    for one in not_tested:
        claims.setdefault(one.reason, []).append(_clause(one.claim))
    return [f"Not tested ({_clause(why)}): {'; '.join(what)}." for why, what in claims.items()]


def _clause(claim: str) -> str:
    return claim[0].lower() + claim[1:].removesuffix(".")


def _latency_difference(
    stages: StageResult, ms_per_token: Mapping[Workload, Estimate | None]
) -> str:
    word, times = _typical(stages.latency)
    shown = _both(f"{_with_interval(times[w], ' ms')} in {NAMES[w]}" for w in WORKLOADS)
    tokens = stages.mean_output_tokens
    lengths = _both(f"{_number(tokens[w].value)} in {NAMES[w]}" for w in WORKLOADS)
    return (
        f"At the reference setting the {word} latency is {shown}: {_slower(times)}. "
        f"The mean number of tokens written is {lengths}.{_speed(ms_per_token)}"
    )


def _speed(ms_per_token: Mapping[Workload, Estimate | None]) -> str:
    """The time of one token. With the number of tokens it makes up the decode time."""
    known = {w: ms for w in WORKLOADS if (ms := ms_per_token[w]) is not None}
    if len(known) < len(WORKLOADS):
        return ""
    shown = _both(f"{_with_interval(known[w], ' ms')} in {NAMES[w]}" for w in WORKLOADS)
    return f" Each after the first takes {shown}."


def _typical(
    latency: Mapping[Workload, LatencyDistribution],
) -> tuple[str, dict[Workload, Estimate]]:
    """Median latencies, or means if a sample is too small for a median."""
    medians = {w: m for w in WORKLOADS if (m := latency[w].p50_ms) is not None}
    if len(medians) == len(WORKLOADS):
        return "median", medians
    return "mean", {w: latency[w].mean_ms for w in WORKLOADS}


def _slower(times: Mapping[Workload, Estimate]) -> str:
    fast, slow = sorted(WORKLOADS, key=lambda w: times[w].value)
    if times[slow].low <= times[fast].high:
        return "the intervals overlap, so neither is clearly slower"
    return f"{NAMES[slow]} takes {_number(times[slow].value / times[fast].value)} times as long"


def _dominant_stages(stages: Mapping[Workload, Mapping[Stage, StageEstimate]]) -> str:
    return " ".join(_largest_stage(NAMES[w], stages[w]) for w in WORKLOADS)


def _largest_stage(name: str, stages: Mapping[Stage, StageEstimate]) -> str:
    stage = max(stages, key=lambda s: stages[s].share.value)
    early = 1 - stages["decode"].share.value
    return (
        f"In {name} the largest stage is {stage}, {_percent(stages[stage].share)} of latency; "
        f"{early:.0%} of latency passes before the first token is known."
    )


def _optimal_settings(frontiers: Mapping[Workload, Frontier], level: float) -> str:
    best = {w: best_at(level, frontiers[w]) for w in WORKLOADS}
    if all(len(frontiers[w].points) == 1 for w in WORKLOADS):
        return "The grid has a single setting, so there is none to choose."
    shown = ", and ".join(_choice(best[w], frontiers[w]) for w in WORKLOADS)
    same = best["qa"].setting == best["captioning"].setting
    return (
        f"The fastest setting (visual tokens / top_k / blocks) that keeps {level:.0%} "
        f"of reference quality is {shown}. On this sample "
        f"{'both are the same' if same else 'they differ'}."
    )


def _choice(best: BestSetting, frontier: Frontier) -> str:
    """A best setting, its speed, and the share of resamples that choose it too."""
    at_reference = best.setting == frontier.reference
    speed = f"at {_percent(best.latency_fraction)} of the reference latency"
    return (
        f"{best.label} in {NAMES[frontier.workload]}, "
        f"{'the reference itself' if at_reference else speed}, "
        f"chosen in {best.share_of_resamples:.0%} of resamples"
    )


def _frontier_structure(frontiers: Mapping[Workload, Frontier]) -> str:
    shown = _both(_size(frontiers[w]) for w in WORKLOADS)
    slopes = "; ".join(_slope(frontiers[w]) for w in WORKLOADS)
    return f"The frontier holds {shown}. From the reference to the fastest setting, {slopes}."


def _size(frontier: Frontier) -> str:
    on_it = sum(point.on_frontier for point in frontier.points)
    return f"{on_it} of {len(frontier.points)} settings in {NAMES[frontier.workload]}"


def _slope(frontier: Frontier) -> str:
    name = NAMES[frontier.workload]
    if frontier.steepness is None:
        return f"{name} has no slope, because no setting is surely faster"
    lost = _with_interval(frontier.steepness, "%")
    return f"{name} loses {lost} of reference quality for each 1% of reference latency saved"


def _both(parts: Iterable[str]) -> str:
    return " and ".join(parts)


def _with_interval(estimate: Estimate, unit: str) -> str:
    low, high = _number(estimate.low), _number(estimate.high)
    return f"{_number(estimate.value)}{unit} ({low} to {high})"


def _percent(share: Estimate) -> str:
    percent = {end: 100 * value for end, value in share.model_dump().items()}
    return _with_interval(Estimate(**percent), "%")


def _number(value: float) -> str:
    """A number with three significant digits. Large numbers have no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
