"""The check that is added to the validity of a run once its answers are scored."""

from collections.abc import Mapping

from m1.schemas.profile import Check, ProfileRun, Validity
from m1.schemas.requests import Workload
from m1.schemas.results import ParetoResult


def counting_answers(
    run: ProfileRun, pareto: Mapping[Workload, ParetoResult], least: int
) -> ProfileRun:
    """The run, with a check of the number of its answers."""
    check = _check_answers(pareto, least)
    validity = Validity.of((*run.validity.checks, check), run.validity.machine)
    return run.model_copy(update={"validity": validity})


def _check_answers(pareto: Mapping[Workload, ParetoResult], least: int) -> Check:
    """Check that enough answers are scored at each setting.

    If outputs are no answers, the check passes without a value.
    """
    counts = [one.frontier.scored.n_requests for one in pareto.values() if one.frontier]
    if len(counts) < len(pareto):
        value, passed = None, True
        detail = "answers not counted: there is no quality"
    else:
        value, passed = float(min(counts)), min(counts) >= least
        sign = "at least" if passed else "fewer than"
        detail = f"answers of a workload scored at each setting: {min(counts)}, {sign} {least}"
    return Check(name="answers", value=value, threshold=float(least), passed=passed, detail=detail)
