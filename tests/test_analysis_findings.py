from dataclasses import replace
from typing import Any

import pytest
from analysed import evidence_of, make_analysis, measured, of_experiment
from simulated import World

from m1.analysis.bootstrap import resamples_of
from m1.analysis.cells import rows_of
from m1.analysis.findings import EXPECTATIONS, judge_expectations, list_not_tested, verdict_of
from m1.analysis.intervals import estimate
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Finding, Verdict
from m1.schemas.settings import KNOBS, Knob

FLAT: dict[Knob, float] = {"vision_tokens": 0.0, "top_k": 0.0, "active_blocks": 0.0}
# Everything as expected: tokens, and which knob each workload cannot spare.
EXPECTED = World(
    vision_tokens=(144, 16),
    top_k=(4, 1),
    active_blocks=(8, 4),
    n_images=40,
    e1_requests=40,
    e2_requests=40,
    observer_requests=0,
    output_tokens={"qa": 2, "captioning": 30},
    loss={
        "qa": FLAT | {"active_blocks": 1.5},
        "captioning": FLAT | {"vision_tokens": 0.07},
    },
    right_at_reference=1.0,
)
# Each workload behaves as the other was expected to.
MIRRORED = replace(
    EXPECTED,
    output_tokens={"qa": 30, "captioning": 2},
    loss={
        "qa": FLAT | {"vision_tokens": 0.3},
        "captioning": FLAT | {"active_blocks": 1.5},
    },
)
# Both behave alike, and decode takes as long as the rest.
ALIKE = replace(
    EXPECTED,
    output_tokens={"qa": 10, "captioning": 10},
    loss={"qa": FLAT | {"top_k": 0.4}, "captioning": FLAT | {"top_k": 0.1}},
    right_at_reference=0.9,
)


def findings_in(world: World, seed: int = 0) -> dict[str, Finding]:
    evidence = evidence_of(world, seed)
    found = judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    return {finding.id: finding for finding in found}


@pytest.mark.parametrize(
    ("world", "verdict"),
    [(EXPECTED, "supported"), (MIRRORED, "refuted"), (ALIKE, "inconclusive")],
    ids=["expected", "mirrored", "alike"],
)
def test_verdicts_come_out_as_the_world_is_built(world: World, verdict: Verdict) -> None:
    # A seed without one of the false alarms that 1 in 20 intervals is made to give.
    found = findings_in(world, seed=1)
    verdicts = {id_: finding.verdict for id_, finding in found.items()}
    assert verdicts == {e.id: verdict for e in EXPECTATIONS}


def test_effects_are_the_true_ones() -> None:
    found = findings_in(EXPECTED, seed=1)
    share = {w: true_decode_share(w) for w in WORKLOADS}
    assert_close(found["qa-prefill-heavy"], 100 * (1 - 2 * share["qa"]))
    assert_close(found["captioning-decode-heavy"], 100 * (2 * share["captioning"] - 1))
    saved = {(w, knob): true_percent_saved(w, knob) for w in WORKLOADS for knob in KNOBS}
    more = {knob: saved["qa", knob] - saved["captioning", knob] for knob in KNOBS}
    assert_close(found["qa-more-sensitive-to-vision-tokens"], more["vision_tokens"])
    assert_close(found["captioning-more-sensitive-to-active-blocks"], -more["active_blocks"])
    assert_close(found["captioning-more-sensitive-to-top-k"], -more["top_k"])
    assert found["qa-prefers-fewer-vision-tokens"].effect == pytest.approx(1 - 16 / 144)
    assert found["captioning-prefers-fewer-blocks"].effect == pytest.approx(1 - 4 / 8)


def true_decode_share(workload: Workload) -> float:
    times = EXPECTED.stage_ms(workload, EXPECTED.grid[0])
    return times["decode"] / sum(times.values())


def true_percent_saved(workload: Workload, knob: Knob) -> float:
    reference = EXPECTED.grid[0]
    smallest = reference.model_copy(update={knob: getattr(EXPECTED, knob)[-1]})
    fast, slow = (sum(EXPECTED.stage_ms(workload, s).values()) for s in (smallest, reference))
    return 100 * (1 - fast / slow)


def assert_close(finding: Finding, truth: float) -> None:
    assert finding.effect == pytest.approx(truth, abs=1)
    assert finding.low < finding.effect < finding.high


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"top_k": (None,)}, {"captioning-more-sensitive-to-top-k"}),
        (
            {"vision_tokens": (144,)},
            {
                "qa-more-sensitive-to-vision-tokens",
                "qa-prefers-fewer-vision-tokens",
                "qa-frontier-steeper",  # captioning loses nothing by the other knobs
            },
        ),
        (
            {"active_blocks": (8,), "loss": {"qa": FLAT, "captioning": FLAT}},
            {
                "captioning-more-sensitive-to-active-blocks",
                "captioning-prefers-fewer-blocks",
                "qa-frontier-steeper",  # nothing lost: both frontiers are one point
            },
        ),
    ],
    ids=["no experts", "one value", "one point"],
)
def test_what_cannot_be_computed_is_left_out(changes: dict[str, Any], missing: set[str]) -> None:
    found = findings_in(replace(EXPECTED, **changes))
    assert {e.id for e in EXPECTATIONS} - set(found) == missing


def test_without_quality_what_rests_on_it_is_not_tested_and_the_rest_is() -> None:
    evidence = evidence_of(EXPECTED, seed=1, quality=False)
    found = judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    untested = list_not_tested(found, evidence, "Nobody knows.", 2)
    assert {one.id: one.reason for one in untested} == dict.fromkeys(
        (
            "qa-prefers-fewer-vision-tokens",
            "captioning-prefers-fewer-blocks",
            "qa-frontier-steeper",
        ),
        "Nobody knows.",
    )
    with_quality = findings_in(EXPECTED, seed=1)
    # A latency's draws do not depend on whether answers are drawn beside it.
    assert [finding.verdict for finding in found] == ["supported"] * 5
    assert {f.id for f in found} | {u.id for u in untested} == set(with_quality)


def test_what_is_missing_is_said_of_what_is_not_tested() -> None:
    evidence = evidence_of(replace(EXPECTED, top_k=(None,)), quality=False)
    found = judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    reasons = {one.id: one.reason for one in list_not_tested(found, evidence, "Nobody knows.", 2)}
    wanted = "It takes more than one value of top_k."
    assert reasons["captioning-more-sensitive-to-top-k"] == wanted
    assert reasons["qa-frontier-steeper"] == "Nobody knows."


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.2, "supported"),
        (-0.2, -0.1, "refuted"),
        (-0.1, 0.1, "inconclusive"),
        (0.0, 0.1, "inconclusive"),
        (-0.1, 0.0, "inconclusive"),
        (0.0, 0.0, "inconclusive"),
    ],
)
def test_only_an_interval_without_zero_decides(low: float, high: float, verdict: Verdict) -> None:
    assert verdict_of(low, high) == verdict


def test_workloads_are_paired_by_shared_images() -> None:
    # What makes an image slow then cancels in the difference of the workloads.
    noisy = replace(ALIKE, image_noise=0.5)
    width = {
        shared: interval_width(replace(noisy, shared_images=shared)) for shared in (True, False)
    }
    assert width[True] < 0.5 * width[False]


def interval_width(world: World) -> float:
    """Of the difference of the workloads' mean latency."""
    rows = measured(world)
    e1 = of_experiment(rows, "e1")
    resamples = resamples_of(e1, make_analysis())
    means = []
    for workload in WORKLOADS:
        of_workload = rows_of(workload, e1)
        images = list(of_workload["image_id"])
        means.append(resamples[workload].mean(of_workload[["total_ms"]].to_numpy(), images)[:, 0])
    difference = estimate(means[0] - means[1], 0.95)
    return difference.high - difference.low


def test_sensitivity_goes_all_the_way_to_the_smallest_value() -> None:
    found = findings_in(replace(EXPECTED, vision_tokens=(144, 36, 16)), seed=1)
    saved = {w: true_percent_saved(w, "vision_tokens") for w in WORKLOADS}
    assert_close(found["qa-more-sensitive-to-vision-tokens"], saved["qa"] - saved["captioning"])


def test_settings_are_compared_at_the_decision_level() -> None:
    # Question answering keeps some 25 % of its quality with half the blocks.
    for level, blocks in ((0.9, 1.0), (0.1, 0.5)):
        analysis = make_analysis(quality_levels=(level,), decision_level=level)
        evidence = evidence_of(EXPECTED, analysis=analysis)
        quality = evidence["qa"].quality
        assert quality is not None
        assert quality.best_fraction["active_blocks"][0] == blocks
