"""Reports of made-up runs, one of each kind that has to be drawn well."""

from pathlib import Path
from typing import Any

import contrast_example as example
from import_graph import ROOT

from m1.report.facts import Parameters
from m1.report.page import make_page
from m1.schemas.profile import Check, FailedCell
from m1.schemas.results import Finding, KeyAnswers, NotTested, Verdict, WorkloadContrast

TEMPLATES = ROOT / ".dvc" / "plots"
NASTY = "</script><script>alert('ran')</script>\x1b[31m\u202ebackwards"
"""What no page may run, print raw, or turn around."""
PARAMETERS = f"profile:\n  session: 7\nmodel:\n  source: {NASTY!r}\n"


def finding(name: str, effect: float, low: float, high: float, verdict: Verdict) -> Finding:
    return Finding(
        id=name,
        claim=f"Claim of {name}.",
        measure="percentage points",
        effect=effect,
        low=low,
        high=high,
        smallest_effect=2.0,
        verdict=verdict,
    )


FINDINGS = (
    finding("far", 60.0, 55.0, 65.0, "supported"),
    finding("near", 2.1, 1.0, 3.0, "inconclusive"),
    finding("opposite", -1.0, -1.5, -0.5, "refuted"),
)
ANSWERS = KeyAnswers(
    latency_difference="Captions take six times as long.",
    dominant_stages="Prefill here, decode there.",
    optimal_settings="They differ.",
    frontier_structure="One is steeper.",
)


def contrast(**changes: Any) -> WorkloadContrast:
    """A valid run with three findings, and one expectation that was not tested."""
    not_tested = (NotTested(id="untested", claim="Nobody knows.", reason="It takes two."),)
    told = {"findings": FINDINGS, "answers": ANSWERS, "not_tested": not_tested}
    return example.contrast(**told | changes)


def invalid() -> WorkloadContrast:
    """A run that failed one check, and had no data for another check."""
    validity = example.validity("it drifted by 12.00%, above 10.00%")
    checks = (
        Check(name="drift", value=0.12, threshold=0.1, passed=False, detail="it drifted"),
        Check(name="gpu_clocks", value=None, threshold=0.05, passed=True, detail="no GPU in use"),
    )
    return contrast(validity=validity.model_copy(update={"checks": checks}))


def with_failures() -> WorkloadContrast:
    """A run with a setting that could not be measured, and with hostile texts."""
    missing = example.GRID[5]
    failed = FailedCell(
        experiment="e2",
        workload="qa",
        setting=missing,
        decode_mode="free",
        reason=f"OutOfMemoryError: {NASTY}",
        order=3,
        n_measured=0,
    )
    frontiers = {
        w: one.model_copy(update={"points": tuple(p for p in one.points if p.setting != missing)})
        for w, one in (contrast().frontiers or {}).items()
    }
    seen = example.contrast().provenance.model_copy(update={"model": f"models/{NASTY}"})
    return contrast(failed=(failed,), frontiers=frontiers, provenance=seen)


def page_of(run: WorkloadContrast, scripts: str = "") -> str:
    """The report of a run; without the scripts it draws nothing."""
    parameters = Parameters.parse(PARAMETERS, Path("params.yaml"))
    return make_page(run, example.cdf_points(), parameters, TEMPLATES, scripts)
