"""Find all mistakes before anything runs, and plan what will run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from m1.errors import Problems
from m1.params import (
    DataParams,
    KnobParams,
    ModelParams,
    ProfileParams,
    QualityParams,
    ValidityParams,
    effective_decode_mode,
    why_no_answers,
)
from m1.planning.drawing import draw_both, fingerprint_of
from m1.planning.foreseen import (
    cannot_pass,
    cannot_tell,
    count_measurements,
    few_compilations,
    fewer_than_asked,
    plan_workload,
)
from m1.planning.model import check_fit, not_checked, outlined
from m1.schemas.plan import Drawn, DrawnRequests, KnobLimits, Plan
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import DecodeModeChoice, decode_passes
from m1.vlm.pictures import Picture


@dataclass(frozen=True)
class Asked:
    """The parameters that a plan follows from."""

    data: DataParams
    model: ModelParams
    knobs: KnobParams
    profile: ProfileParams
    quality: QualityParams
    validity: ValidityParams
    confidence: float
    """Of intervals."""
    min_clusters: int
    """The smallest number of trials that decides a finding."""

    @property
    def decode_mode(self) -> DecodeModeChoice:
        """When outputs end."""
        return effective_decode_mode(self.model.weights, self.profile.decode_mode)

    @property
    def scored(self) -> QualityParams | None:
        """How many answers are scored; `None` if outputs would be no answers."""
        no_answers = why_no_answers(self.model.weights, self.profile.decode_mode)
        return None if no_answers else self.quality


@dataclass(frozen=True)
class Checked:
    """The result of a check."""

    problems: Problems
    """Everything that is wrong."""
    drawn: Mapping[Workload, DrawnRequests]
    """The requests of each workload, if they could be drawn."""
    limits: KnobLimits | None
    """The possible values of the knobs; `None` if the model could not be read."""
    record: Drawn | None
    """The record of the requests; `None` if those of a workload could not be drawn."""
    plan: Plan | None
    """What will be measured; `None` if model or requests could not be read."""


def check(asked: Asked, earlier: Path | None = None) -> Checked:
    """Check parameters with data and model.

    Args:
        asked: the parameters.
        earlier: requests that were drawn before. They are used again if their sources are the same.
    """
    problems = Problems()
    drawn = draw_both(asked.data, problems, earlier)
    vlm = outlined(asked.model, problems)
    limits = record = plan = None
    if vlm:
        pictures = _measured_pictures(drawn, asked)
        limits = check_fit(vlm, asked.knobs, asked.decode_mode, drawn, pictures, problems)
    if len(drawn) == len(WORKLOADS):
        record = Drawn(made_from=fingerprint_of(asked.data), by_workload=drawn)
        plan = _make_plan(asked, drawn, limits, not_checked(vlm)) if vlm and limits else None
    return Checked(problems, drawn, limits, record, plan)


def _make_plan(
    asked: Asked,
    drawn: Mapping[Workload, DrawnRequests],
    limits: KnobLimits,
    left_open: tuple[str, ...],
) -> Plan:
    """What will be measured, and what it cannot show.

    Args:
        asked: the parameters.
        drawn: the requests of both workloads.
        limits: the possible values of the knobs.
        left_open: what only loading the model can show.
    """
    profile, n_settings = asked.profile, len(asked.knobs.grid())
    n_passes = len(decode_passes(asked.decode_mode))
    workloads = {w: plan_workload(w, sample, profile, asked.scored) for w, sample in drawn.items()}
    return Plan(
        workloads=workloads,
        limits=limits,
        n_settings=n_settings,
        n_measurements=sum(
            count_measurements(counts, n_settings, profile.n_trials, n_passes)
            for counts in workloads.values()
        ),
        n_processes=profile.n_processes,
        n_answers=n_settings * sum(counts.answers for counts in workloads.values()),
        fewer_than_asked=tuple(fewer_than_asked(drawn, profile, asked.scored)),
        cannot_pass=tuple(cannot_pass(workloads, drawn, profile, asked.validity)),
        cannot_tell=(
            *cannot_tell(workloads, drawn, profile, asked.confidence, asked.min_clusters),
            *few_compilations(asked.model, profile),
        ),
        not_checked=left_open,
    )


def _measured_pictures(drawn: Mapping[Workload, DrawnRequests], asked: Asked) -> list[Picture]:
    """The images that will be measured or answered about."""
    pictures: list[Picture] = []
    for workload, sample in drawn.items():
        n = max(asked.profile.most_requests(workload), asked.quality.n_requests.of(workload))
        pictures += (Picture(name, size) for name, size in sample.images_of_first(n).items())
    return pictures
