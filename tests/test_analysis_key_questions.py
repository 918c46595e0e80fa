import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysed import evidence_of, frontier_in, make_analysis, measured, of_experiment
from simulated import World
from test_analysis_findings import EXPECTED, FLAT, MIRRORED, UNDECIDABLE

from m1.analysis.contrast.evidence import Evidence
from m1.analysis.contrast.findings import EXPECTATIONS, judge_expectations, list_not_tested
from m1.analysis.contrast.key_questions import answer_key_questions, verdicts_on
from m1.analysis.draws.confidence import Confidence
from m1.analysis.experiments import E1
from m1.analysis.latency.stages import make_stage_result
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Finding, KeyAnswers, Verdict

ANALYSIS = make_analysis()
MEASURED = Evidence(
    stage_share=np.zeros((1, 4)),
    moves={},
    quality=None,
    n_clusters={e.kind: 20 for e in EXPECTATIONS},
    confidence=Confidence(0.95),
)


SPEED: dict[Workload, Estimate | None] = {
    "qa": Estimate(value=4.05, low=3.97, high=4.14),
    "captioning": Estimate(value=3.67, low=3.58, high=3.76),
}


def answers_in(
    world: World,
    reason: str | None = None,
    speed: Mapping[Workload, Estimate | None] = SPEED,
) -> KeyAnswers:
    rows = measured(world, seed=1)
    frontiers = None if reason else {w: frontier_in(world, w, seed=1) for w in WORKLOADS}
    evidence = evidence_of(world, seed=1, quality=not reason)
    findings = judge_expectations(evidence["qa"], evidence["captioning"], ANALYSIS)
    return answer_key_questions(
        make_stage_result(E1.of(of_experiment(rows, "e1"), ANALYSIS), world.grid[0]),
        speed,
        frontiers,
        reason,
        ANALYSIS.decision_level,
        findings,
        list_not_tested(findings, evidence, reason, ANALYSIS.min_clusters),
    )


def made_up(verdicts: Mapping[str, Verdict]) -> list[Finding]:
    claims = {expected.id: expected.claim for expected in EXPECTATIONS}
    numbers: dict[str, Any] = {"effect": 0.0, "low": 0.0, "high": 0.0, "smallest_effect": 0.1}
    return [
        Finding(id=id_, claim=claims[id_], measure="", verdict=verdict, **numbers)
        for id_, verdict in verdicts.items()
    ]


def number_in(text: str, before: str, after: str) -> float:
    """The number that stands between two pieces of a text."""
    (number,) = re.findall(rf"{before}([\d.]+){after}", text)
    return float(number)


def true_ms(world: World, workload: Workload) -> tuple[float, float]:
    """Latency, and decode in it."""
    times = world.stage_ms(workload, world.grid[0])
    return sum(times.values()), times["decode"]


def assert_captioning_takes_as_much_longer_as_it_does(answers: KeyAnswers) -> None:
    ratio = true_ms(EXPECTED, "captioning")[0] / true_ms(EXPECTED, "qa")[0]
    told = number_in(answers.latency_difference, "captioning takes ", " times as long")
    assert told == pytest.approx(ratio, rel=0.02)


def test_expected_world() -> None:
    answers = answers_in(EXPECTED)
    assert_captioning_takes_as_much_longer_as_it_does(answers)
    assert "2 in question answering and 30 in captioning" in answers.latency_difference
    total, decode = true_ms(EXPECTED, "qa")
    prefill = EXPECTED.stage_ms("qa", EXPECTED.grid[0])["prefill"]
    in_qa, in_captioning = answers.dominant_stages.split(" In captioning ")
    told = number_in(in_qa, "In question answering the largest stage is prefill, ", "%")
    assert told == pytest.approx(100 * prefill / total, abs=0.5)
    early = number_in(in_qa, "", "% of latency passes before the first token")
    assert early == pytest.approx(100 * (1 - decode / total), abs=1)
    total, decode = true_ms(EXPECTED, "captioning")
    told = number_in(in_captioning, "the largest stage is decode, ", "%")
    assert told == pytest.approx(100 * decode / total, abs=0.5)
    assert "16/1/8 in question answering" in answers.optimal_settings
    assert "144/1/4 in captioning" in answers.optimal_settings
    assert "they differ" in answers.optimal_settings
    assert "question answering loses" in answers.frontier_structure
    for answer in answers.model_dump().values():
        assert "Supported: " in answer
        assert "Refuted" not in answer


def test_length_and_speed_of_outputs_stand_side_by_side() -> None:
    told = answers_in(EXPECTED).latency_difference
    assert (
        "is 2 in question answering and 30 in captioning. Each after the first takes 4.05 ms "
        "(3.97 to 4.14) in question answering and 3.67 ms (3.58 to 3.76) in captioning. Supp"
    ) in told


def test_single_tokens_have_no_decode_speed() -> None:
    told = answers_in(EXPECTED, speed=SPEED | {"qa": None}).latency_difference
    assert "and 30 in captioning. Supported" in told


def test_mirrored_world() -> None:
    answers = answers_in(MIRRORED)
    ratio = true_ms(MIRRORED, "qa")[0] / true_ms(MIRRORED, "captioning")[0]
    told = number_in(answers.latency_difference, "question answering takes ", " times as long")
    assert told == pytest.approx(ratio, rel=0.02)
    assert "In question answering the largest stage is decode" in answers.dominant_stages
    for answer in answers.model_dump().values():
        assert "Refuted: " in answer
        assert "Supported" not in answer


def test_undecidable_world() -> None:
    answers = answers_in(UNDECIDABLE)
    assert "neither is clearly slower" in answers.latency_difference
    for answer in answers.model_dump().values():
        assert "Inconclusive: " in answer


def test_single_setting() -> None:
    world = replace(
        EXPECTED, vision_tokens=(None,), top_k=(None,), active_blocks=(None,), e1_requests=4
    )
    answers = answers_in(world)
    # Four requests are too few for a median.
    assert answers.latency_difference.startswith("At the reference setting the mean latency is")
    assert "Not tested (it takes more than one value of top_k)" in answers.latency_difference
    assert answers.optimal_settings.startswith("The grid has a single setting")
    assert "1 of 1 settings in question answering" in answers.frontier_structure
    assert "question answering has no slope" in answers.frontier_structure
    assert "captioning has no slope" in answers.frontier_structure


def test_same_best_setting() -> None:
    world = replace(EXPECTED, quality_powers={"qa": FLAT, "captioning": FLAT})
    assert "On this sample both are the same." in answers_in(world).optimal_settings


def test_best_setting_may_be_the_reference() -> None:
    steep = FLAT | {"vision_tokens": 0.5, "top_k": 0.5, "active_blocks": 1.0}
    answers = answers_in(replace(EXPECTED, quality_powers={"qa": steep, "captioning": steep}))
    assert "144/4/8 in captioning, the reference itself, chosen in 100%" in answers.optimal_settings


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (
            {"qa-prefill-heavy": "supported", "captioning-decode-heavy": "supported"},
            "Supported: question answering spends more time before the first token than in decode; "
            "captioning spends more time in decode than before the first token.",
        ),
        (
            {"qa-prefill-heavy": "refuted", "captioning-decode-heavy": "inconclusive"},
            "Refuted: question answering spends more time before the first token than in decode. "
            "Inconclusive: captioning spends more time in decode than before the first token.",
        ),
        (
            {"qa-prefill-heavy": "inconclusive"},
            "Inconclusive: question answering spends more time before the first token than in "
            "decode. Not tested (it takes a measured request): captioning spends more time in "
            "decode than before the first token.",
        ),
    ],
)
def test_every_verdict_is_stated(verdicts: dict[str, Verdict], expected: str) -> None:
    ids = ("qa-prefill-heavy", "captioning-decode-heavy")
    findings = made_up({**verdicts, "qa-frontier-steeper": "supported"})
    assert (
        verdicts_on(
            ids,
            findings,
            list_not_tested(findings, {"qa": MEASURED, "captioning": MEASURED}, None, 2),
        )
        == expected
    )


def test_without_quality_latency_is_still_answered() -> None:
    reason = "The weights are random, so answers mean nothing."
    answers = answers_in(EXPECTED, reason)
    assert_captioning_takes_as_much_longer_as_it_does(answers)
    assert "Supported: fewer visual tokens save" in answers.latency_difference
    for answer in (answers.optimal_settings, answers.frontier_structure):
        assert answer.startswith(f"There is no quality to compare. {reason} Not tested (the ")
        assert answer.count("Not tested") == 1
        assert "Supported" not in answer
