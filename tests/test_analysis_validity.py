"""The validity of a run also depends on its answers, after they are scored."""

import contrast_example as example
import pytest
from simulated import simulate_run

from m1.analysis.contrast.summary import summarise
from m1.analysis.validity import counting_answers
from m1.schemas.profile import Validity
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import ParetoResult


def pareto(workload, n_scored) -> ParetoResult:
    contrast = example.contrast()
    assert contrast.frontiers is not None
    assert contrast.agreement is not None
    one = contrast.frontiers[workload]
    size = one.scored.model_copy(update={"n_requests": n_scored})
    return ParetoResult(
        workload=workload,
        quality_not_available=None,
        frontier=one.model_copy(update={"scored": size}),
        agreement=contrast.agreement[workload],
    )


@pytest.mark.parametrize(
    ("n_scored", "verdict"), [((50, 50), "valid"), ((50, 49), "invalid"), ((49, 50), "invalid")]
)
def test_few_answers_of_either_workload_make_a_run_invalid(n_scored, verdict) -> None:
    results = {w: pareto(w, n) for w, n in zip(WORKLOADS, n_scored, strict=True)}
    validity = counting_answers(simulate_run(), results, 50).validity
    assert validity.verdict == verdict
    (check,) = validity.checks
    assert (check.name, check.value, check.threshold) == ("answers", min(n_scored), 50)
    assert validity.reasons == (() if verdict == "valid" else (check.detail,))


def test_other_reasons_stay() -> None:
    run = simulate_run()
    drifted = run.model_copy(update={"validity": example.validity("it drifted")})
    results = {w: pareto(w, 3) for w in WORKLOADS}
    reasons = counting_answers(drifted, results, 50).validity.reasons
    assert reasons[0] == "it drifted"
    assert reasons[1] == "answers of a workload scored at each setting: 3, fewer than 50"


def test_a_few_words_name_two_failed_checks_and_count_the_rest() -> None:
    check = example.validity("x").checks[0]
    told = []
    for failed in ([], ["drift"], ["drift", "jitter"], ["drift", "jitter", "clocks", "answers"]):
        checks = [check.model_copy(update={"name": name, "passed": False}) for name in failed]
        passed = check.model_copy(update={"passed": True})
        told.append(Validity.of((passed, *checks)).in_short)
    assert told == [
        "valid",
        "INVALID: drift",
        "INVALID: drift, jitter",
        "INVALID: drift, jitter and 2 more",
    ]


def test_a_run_without_quality_has_no_answers_to_count() -> None:
    nothing = {
        w: ParetoResult(workload=w, quality_not_available="random", frontier=None, agreement=None)
        for w in WORKLOADS
    }
    validity = counting_answers(simulate_run(), nothing, 50).validity
    assert validity.verdict == "valid"
    assert validity.checks[0].value is None
    assert validity.tally == "0 checks passed, 1 not measured"


def test_the_summary_of_an_invalid_run_counts_its_failed_checks() -> None:
    run = example.contrast_without_quality()
    drifted = example.validity("it drifted", "others were busy")
    summary = summarise(run.model_copy(update={"validity": drifted}), 0.9)
    assert (summary.valid, summary.failed_checks) == ("no", 2)
    assert summarise(run, 0.9).failed_checks == 0
