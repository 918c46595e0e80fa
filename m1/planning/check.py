"""Everything that is wrong before anything runs, told at once; and the plan of what will run."""

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
    fewer_than_asked,
    plan_workload,
)
from m1.planning.model import check_fit, not_checked, outlined
from m1.schemas.plan import Drawn, DrawnRequests, KnobLimits, Plan
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.settings import DecodeModeChoice, decode_passes
from m1.vlm.requests import Picture


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
    """Fewest trials that decide a finding."""

    @property
    def decode_mode(self) -> DecodeModeChoice:
        """When outputs end."""
        return effective_decode_mode(self.model.weights, self.profile.decode_mode)

    @property
    def scored(self) -> QualityParams | None:
        """How many answers are scored; nothing where outputs would be no answers."""
        no_answers = why_no_answers(self.model.weights, self.profile.decode_mode)
        return None if no_answers else self.quality


@dataclass(frozen=True)
class Checked:
    """What came out."""

    problems: Problems
    """Everything that is wrong."""
    drawn: Mapping[Workload, DrawnRequests]
    """The requests of each workload, where they could be drawn."""
    limits: KnobLimits | None
    """What values the knobs can take, where the model could be looked at."""
    record: Drawn | None
    """The requests as they are recorded, where those of both workloads could be drawn."""
    plan: Plan | None
    """What will be measured, where model and requests could be looked at."""


def check(asked: Asked, earlier: Path | None = None) -> Checked:
    """Hold parameters against data and model.

    Args:
        asked: the parameters.
        earlier: the requests that were drawn before, to be taken where they are the same.
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
        plan = make_plan(asked, drawn, limits, not_checked(vlm)) if vlm and limits else None
    return Checked(problems, drawn, limits, record, plan)


def make_plan(
    asked: Asked,
    drawn: Mapping[Workload, DrawnRequests],
    limits: KnobLimits,
    left_open: tuple[str, ...],
) -> Plan:
    """What will be measured, and what it cannot show.

    Args:
        asked: the parameters.
        drawn: the requests of both workloads.
        limits: what values the knobs can take.
        left_open: what only loading the model will tell.
    """
    profile, n_settings = asked.profile, len(asked.knobs.grid())
    n_passes = len(decode_passes(asked.decode_mode))
    workloads = {w: plan_workload(w, one, profile, asked.scored) for w, one in drawn.items()}
    return Plan(
        workloads=workloads,
        limits=limits,
        n_settings=n_settings,
        n_measurements=sum(
            count_measurements(one, n_settings, profile.n_trials, n_passes)
            for one in workloads.values()
        ),
        n_answers=n_settings * sum(one.answers for one in workloads.values()),
        fewer_than_asked=tuple(fewer_than_asked(drawn, profile, asked.scored)),
        cannot_pass=tuple(cannot_pass(workloads, drawn, asked.validity)),
        cannot_tell=tuple(
            cannot_tell(workloads, drawn, profile, asked.confidence, asked.min_clusters)
        ),
        not_checked=left_open,
    )


def _measured_pictures(drawn: Mapping[Workload, DrawnRequests], asked: Asked) -> list[Picture]:
    """The images that will be measured or answered about."""
    pictures: list[Picture] = []
    for workload, one in drawn.items():
        n = max(asked.profile.most_requests(workload), asked.quality.n_requests.of(workload))
        pictures += (Picture(name, size) for name, size in one.images_of_first(n).items())
    return pictures
