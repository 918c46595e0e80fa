"""The results of a check as lines for the terminal."""

from collections.abc import Iterator, Sequence

from m1.planning.check import Checked
from m1.schemas.plan import DrawnRequests, KnobLimits, Plan, WorkloadPlan
from m1.schemas.requests import Workload


def lines_about(checked: Checked) -> Iterator[str]:
    """Lines about requests, knobs and plan, if they could be read."""
    plan = checked.plan
    for workload, sample in checked.drawn.items():
        yield _requests_line(workload, sample)
        if plan:
            yield _use_line(plan.workloads[workload])
    if checked.limits:
        yield from _limits_lines(checked.limits)
    if plan:
        yield from _plan_lines(plan)


def _requests_line(workload: Workload, sample: DrawnRequests) -> str:
    n = len(sample.requests)
    n_images = len(sample.images_of_first(n))
    source = f"{sample.n_in_dataset} requests in {sample.source}"
    return f"{workload}: {n} of {source}, about {n_images} images"


def _use_line(plan: WorkloadPlan) -> str:
    return (
        f"  E1: {plan.e1}; E2: {plan.e2} at each setting; with and without marks: {plan.observer}; "
        f"in every trial: {plan.anchor}; answers to score: {plan.answers} at each setting"
    )


def _limits_lines(limits: KnobLimits) -> Iterator[str]:
    width, height = limits.image_size
    yield f"knobs of this model, on an image of {width} x {height} pixels:"
    most = f"{limits.largest_vision_tokens}{' and more' if limits.can_have_more else ' at most'}"
    near = ", ".join(map(str, limits.near_vision_tokens))
    yield f"  vision_tokens: {most}, {limits.native_vision_tokens} untouched; such as {near}"
    other = {k: n for k, n in limits.reached.items() if int(k) != n}
    if other:
        came = ", ".join(f"{n} for {asked}" for asked, n in other.items())
        yield f"  vision_tokens: the nearest to what is asked for are {came}"
    top_k = limits.experts_per_token
    yield f"  top_k: {f'1 to {top_k}' if top_k else 'null, since it has no experts'}"
    yield f"  active_blocks: {limits.least_blocks} to {limits.n_blocks}"


def _plan_lines(plan: Plan) -> Iterator[str]:
    yield (
        f"plan: {plan.n_settings} settings; {plan.n_measurements:,} requests to measure in "
        f"{plan.n_processes} process{'' if plan.n_processes == 1 else 'es'}, warm-up apart; "
        f"{plan.n_answers:,} answers to score"
    )
    yield from _listed("more asked for than there is", plan.fewer_than_asked)
    yield from _listed(
        "a run of this size is marked invalid, whatever the machine does", plan.cannot_pass
    )
    yield from _listed("a run of this size cannot tell", plan.cannot_tell)
    yield from _listed("not checked, because no weights are loaded", plan.not_checked)


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)
