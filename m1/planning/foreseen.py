"""Find what a run of this size cannot show, on any machine."""

from collections.abc import Iterator, Mapping

from m1.analysis.latency.percentiles import too_small_for
from m1.machine_course import N_THIRDS
from m1.params import ModelParams, PerWorkload, ProfileParams, QualityParams, ValidityParams
from m1.profiling.checks.speed import LEAST_IN_A_THIRD
from m1.profiling.schedule import deal_images
from m1.schemas.plan import DrawnRequests, WorkloadPlan
from m1.schemas.profile import LEAST_COMPILATIONS
from m1.schemas.requests import WORKLOADS, Workload

Drawn = Mapping[Workload, DrawnRequests]


def plan_workload(
    workload: Workload,
    drawn: DrawnRequests,
    profile: ProfileParams,
    quality: QualityParams | None,
) -> WorkloadPlan:
    """What the requests of a workload are used for.

    Args:
        workload: the workload.
        drawn: its requests.
        profile: how many requests are asked for.
        quality: how many answers are asked for; `None` if outputs would be no answers.
    """
    there = len(drawn.requests)

    def used(asked: PerWorkload) -> int:
        return min(there, asked.of(workload))

    return WorkloadPlan(
        source=drawn.source,
        n_in_dataset=drawn.n_in_dataset,
        n_requests=there,
        n_images=len(drawn.images_of_first(there)),
        e1=used(profile.e1_requests),
        e2=used(profile.e2_requests),
        observer=used(profile.observer_requests),
        anchor=used(profile.anchor_requests),
        answers=used(quality.n_requests) if quality else 0,
    )


def fewer_than_asked(
    drawn: Drawn, profile: ProfileParams, quality: QualityParams | None
) -> Iterator[str]:
    """Parameters that ask for more requests than there are."""
    there = {workload: len(sample.requests) for workload, sample in drawn.items()}
    yield from profile.beyond(there)
    if quality:
        yield from quality.beyond(there)


def cannot_pass(
    workloads: Mapping[Workload, WorkloadPlan],
    drawn: Drawn,
    profile: ProfileParams,
    limits: ValidityParams,
) -> Iterator[str]:
    """Checks of validity that a run of this size must fail."""

    def too_few(key: str, least: int, there: Mapping[Workload, int], what: str) -> Iterator[str]:
        short = [f"{n} {workload}" for workload, n in there.items() if n < least]
        if short:
            yield f"validity.{key} = {least}: there will be {' and '.join(short)} {what}"

    images = {w: len(drawn[w].images_of_first(plan.observer)) for w, plan in workloads.items()}
    answers = {w: plan.answers for w, plan in workloads.items() if plan.answers}
    e1 = {w: plan.e1 for w, plan in workloads.items()}
    e2 = {w: plan.e2 for w, plan in workloads.items()}
    yield from too_few("min_e1", limits.min_e1, e1, "requests in E1")
    yield from too_few("min_e2", limits.min_e2, e2, "requests in each cell of E2")
    yield from too_few("min_observer", limits.min_observer, images, "images with and without marks")
    yield from too_few("min_answers", limits.min_answers, answers, "answers at each setting")
    if (most := max(e1.values())) < (least := N_THIRDS * LEAST_IN_A_THIRD):
        yield f"validity.drift: it takes {least} requests in E1 to tell, and there will be {most}"
    if (most := max(_trials_used(drawn, profile.e2_requests, profile.n_trials).values())) < least:
        yield f"validity.drift: it takes {least} trials with E2 to tell, and there will be {most}"


def cannot_tell(
    workloads: Mapping[Workload, WorkloadPlan],
    drawn: Drawn,
    profile: ProfileParams,
    confidence: float,
    min_clusters: int,
) -> Iterator[str]:
    """Findings and percentiles that a run of this size cannot have."""
    for asked, what in (
        (profile.e1_requests, "shares of latency (E1)"),
        (profile.e2_requests, "what knobs change (E2)"),
    ):
        there = min(_trials_used(drawn, asked, profile.n_trials).values())
        if there < min_clusters:
            yield (
                f"no finding on {what}: it takes analysis.min_clusters = {min_clusters} trials, "
                f"and {there} will have requests of each workload"
            )
    for workload, plan in workloads.items():
        for name, reason in too_small_for(plan.e1, confidence).items():
            yield f"{workload} has no {name.removesuffix('_ms').upper()}: {reason}"


def few_compilations(model: ModelParams, profile: ProfileParams) -> Iterator[str]:
    """Why a compiled model decides no finding, if it runs on a GPU."""
    if model.runtime == "eager" or model.device == "cpu":
        return
    if model.keep_compiled:
        yield "on a GPU no finding: model.keep_compiled lets the compiler choose only once"
    elif profile.n_processes < LEAST_COMPILATIONS:
        yield (
            f"on a GPU no finding: profile.n_processes = {profile.n_processes}, and it takes "
            f"{LEAST_COMPILATIONS} in which the compiler chooses anew"
        )


def _trials_used(drawn: Drawn, asked: PerWorkload, n_trials: int) -> dict[Workload, int]:
    """Trials in which each workload has requests."""
    chosen = {w: drawn[w].requests[: asked.of(w)] for w in WORKLOADS}
    trial_of = deal_images(chosen, n_trials)
    return {w: len({trial_of[r.image_id] for r in some}) for w, some in chosen.items()}


def count_measurements(plan: WorkloadPlan, n_settings: int, n_trials: int, n_passes: int) -> int:
    """Requests of a workload that will be measured, without warm-up."""
    once = 2 * plan.observer + n_trials * plan.anchor
    return once + n_passes * (plan.e1 + n_settings * plan.e2)
