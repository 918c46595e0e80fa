from dataclasses import replace
from typing import Any

import pytest
from analysed import evidence_of, make_analysis, measured, of_experiment
from simulated import World

from benchmarks.worlds import COST_MS
from m1.analysis.cells import rows_of
from m1.analysis.contrast.findings import (
    EXPECTATIONS,
    judge_expectations,
    list_not_tested,
    verdict_of,
)
from m1.analysis.draws.bootstrap import resamples_of
from m1.analysis.draws.confidence import Confidence
from m1.analysis.draws.intervals import estimate
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
    quality_powers={
        "qa": FLAT | {"active_blocks": 2.0},
        "captioning": FLAT | {"vision_tokens": 0.03},
    },
    right_at_reference=1.0,
)
# Each workload behaves as the other was expected to.
MIRRORED = replace(
    EXPECTED,
    output_tokens={"qa": 30, "captioning": 2},
    quality_powers={
        "qa": FLAT | {"vision_tokens": 0.14},
        "captioning": FLAT | {"active_blocks": 2.0},
    },
)
# Both behave alike, and decode takes as long as the rest: a claim of a difference is false.
ALIKE = replace(
    EXPECTED,
    output_tokens={"qa": 12, "captioning": 12},
    quality_powers={"qa": FLAT, "captioning": FLAT},
    right_at_reference=1.0,
)
# Effects near the smallest that matters, settings as good as each other, and a noisy machine.
# A trial for each image: from half as many clusters intervals are too narrow now and then.
UNDECIDABLE = replace(
    EXPECTED,
    n_trials=40,
    output_tokens={"qa": 12, "captioning": 12},
    cost_ms={"qa": COST_MS | {"decode": 2.7}, "captioning": COST_MS | {"decode": 3.3}},
    stage_noise=0.5,
    quality_powers={
        "qa": FLAT | {"vision_tokens": 0.045, "active_blocks": 0.15},
        "captioning": FLAT | {"vision_tokens": 0.009, "active_blocks": 0.027},
    },
    right_at_reference=0.95,
)
SEEDS = range(6)


def findings_in(world: World, seed: int = 0) -> dict[str, Finding]:
    evidence = evidence_of(world, seed)
    found = judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    return {finding.id: finding for finding in found}


@pytest.mark.parametrize(
    ("world", "verdict"),
    [
        (EXPECTED, "supported"),
        (MIRRORED, "refuted"),
        (ALIKE, "refuted"),
        (UNDECIDABLE, "inconclusive"),
    ],
    ids=["expected", "mirrored", "alike", "undecidable"],
)
def test_verdicts_come_out_as_the_world_is_built(world: World, verdict: Verdict) -> None:
    found = [findings_in(world, seed) for seed in SEEDS]
    for expected in EXPECTATIONS:
        verdicts = [one[expected.id].verdict for one in found]
        # 1 in 20 intervals is made to miss the truth, so that one seed may.
        assert verdicts.count(verdict) >= len(SEEDS) - 1, expected.id
        opposite = {"supported": "refuted", "refuted": "supported"}.get(verdict)
        assert opposite not in verdicts, expected.id


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
            {"qa-more-sensitive-to-vision-tokens", "qa-prefers-fewer-vision-tokens"},
        ),
        (
            {"vision_tokens": (144,), "top_k": (4,), "active_blocks": (8,)},
            {e.id for e in EXPECTATIONS} - {"qa-prefill-heavy", "captioning-decode-heavy"},
        ),
    ],
    ids=["no experts", "one value", "one setting"],
)
def test_findings_that_cannot_be_computed_are_left_out(
    changes: dict[str, Any], missing: set[str]
) -> None:
    found = findings_in(replace(EXPECTED, **changes))
    assert {e.id for e in EXPECTATIONS} - set(found) == missing


def test_without_quality_only_findings_without_it_are_tested() -> None:
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


def test_a_finding_that_is_not_tested_names_what_is_missing() -> None:
    evidence = evidence_of(replace(EXPECTED, top_k=(None,)), quality=False)
    found = judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    reasons = {one.id: one.reason for one in list_not_tested(found, evidence, "Nobody knows.", 2)}
    wanted = "It takes more than one value of top_k."
    assert reasons["captioning-more-sensitive-to-top-k"] == wanted
    assert reasons["qa-frontier-steeper"] == "Nobody knows."


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (2.1, 3.0, "supported"),
        (2.0, 3.0, "inconclusive"),
        (1.0, 3.0, "inconclusive"),
        (1.0, 2.0, "inconclusive"),
        (1.0, 1.9, "refuted"),  # there is an effect, and it is too small to matter
        (0.0, 0.0, "refuted"),
        (-3.0, -2.5, "refuted"),
        (-9.0, 9.0, "inconclusive"),
    ],
)
def test_only_an_interval_without_the_smallest_effect_decides(
    low: float, high: float, verdict: Verdict
) -> None:
    assert verdict_of(low, high, smallest=2.0) == verdict


def test_a_finding_is_compared_with_the_smallest_effect_of_its_kind() -> None:
    smallest = {"share": 90.0, "sensitivity": 0.0, "preference": 0.7, "steepness": 9.0}
    evidence = evidence_of(EXPECTED, seed=1)
    analysis = make_analysis(smallest_effect=smallest)
    found = judge_expectations(evidence["qa"], evidence["captioning"], analysis)
    kinds = {expected.id: expected.kind for expected in EXPECTATIONS}
    assert all(one.smallest_effect == smallest[kinds[one.id]] for one in found)
    supported = {one.id for one in found if one.verdict == "supported"}
    assert supported == {
        "qa-more-sensitive-to-vision-tokens",
        "captioning-more-sensitive-to-active-blocks",
        "captioning-more-sensitive-to-top-k",
        "qa-prefers-fewer-vision-tokens",
    }


def test_few_clusters_decide_nothing_however_narrow_the_interval() -> None:
    world = replace(EXPECTED, e1_requests=40, e2_requests=6, answered_requests=40)
    evidence, analysis = evidence_of(world), make_analysis(min_clusters=20)
    found = judge_expectations(evidence["qa"], evidence["captioning"], analysis)
    assert {one.id for one in found} == {"qa-prefill-heavy", "captioning-decode-heavy"}
    untested = list_not_tested(found, evidence, None, analysis.min_clusters)
    assert {one.reason for one in untested} == {
        "It takes intervals from 20 clusters (trials, or images that are only scored), and there "
        "are 6."
    }


def test_workloads_are_paired_by_shared_images() -> None:
    # What makes an image slow then cancels in the difference of the workloads.
    noisy = replace(ALIKE, image_spread=0.5)
    width = {
        shared: interval_width(replace(noisy, shared_images=shared)) for shared in (True, False)
    }
    assert width[True] < 0.5 * width[False]


def interval_width(world: World) -> float:
    """Width of the interval for the difference of the workloads' mean latency."""
    rows = measured(world)
    e1 = of_experiment(rows, "e1")
    resamples = resamples_of(e1, make_analysis())
    means = []
    for workload in WORKLOADS:
        of_workload = rows_of(workload, e1)
        images = list(of_workload["image_id"])
        means.append(resamples.mean(of_workload[["total_ms"]].to_numpy(), images)[:, 0])
    difference = estimate(means[0] - means[1], Confidence(0.95))
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


@pytest.mark.parametrize("few", WORKLOADS)
def test_few_clusters_in_either_workload_decide_nothing(few: Workload) -> None:
    evidence, analysis = dict(evidence_of(EXPECTED)), make_analysis(min_clusters=20)
    scarce = dict.fromkeys(evidence[few].n_clusters, 19)
    evidence[few] = replace(evidence[few], n_clusters=scarce)
    assert judge_expectations(evidence["qa"], evidence["captioning"], analysis) == []
    reasons = {one.reason for one in list_not_tested([], evidence, None, analysis.min_clusters)}
    assert len(reasons) == 1
    assert reasons.pop().endswith("there are 19.")


def test_the_margin_of_the_stages_is_in_percentage_points_of_latency() -> None:
    evidence = evidence_of(EXPECTED, seed=1, quality=False)
    found = {
        one.id: one
        for one in judge_expectations(evidence["qa"], evidence["captioning"], make_analysis())
    }
    for name, workload, sign in (
        ("qa-prefill-heavy", "qa", 1),
        ("captioning-decode-heavy", "captioning", -1),
    ):
        *early, decode = evidence[workload].stage_share[0]
        assert found[name].effect == pytest.approx(sign * 100 * (sum(early) - decode), rel=1e-9)


def test_too_few_compilations_decide_nothing_and_leave_the_effects() -> None:
    evidence = evidence_of(EXPECTED)
    pair = evidence["qa"], evidence["captioning"]
    decided = judge_expectations(*pair, make_analysis())
    found = judge_expectations(*pair, make_analysis(), few_compilations=True)
    assert {one.verdict for one in found} == {"inconclusive"}
    undecided = [one.model_copy(update={"verdict": "inconclusive"}) for one in decided]
    assert found == undecided
