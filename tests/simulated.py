"""Made-up runs whose truth is known: what the profile stage would write in a given world."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from m1.origin import rows_fingerprint
from m1.schemas.answers import Answer, AnswersMade, AnswersRun
from m1.schemas.profile import (
    STAGES,
    CellWork,
    DeviceRates,
    MeasuredRequest,
    ProfileRun,
    Provenance,
    Stage,
    StageWork,
    Validity,
)
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload
from m1.schemas.settings import (
    KNOBS,
    DecodeMode,
    DecodeModeChoice,
    Knob,
    Setting,
    decode_passes,
)

Values = tuple[int | None, ...]
PerStage = Mapping[Stage, float]

# Milliseconds at the reference setting; decode is for each token after the first.
COST_MS: PerStage = {"vision": 12.0, "projector": 1.0, "prefill": 14.0, "decode": 3.0}
# Share of each stage that goes as a knob goes from its largest value to nothing.
SCALES: Mapping[Knob, PerStage] = {
    "vision_tokens": {"vision": 0.0, "projector": 0.9, "prefill": 0.7, "decode": 0.05},
    "top_k": {"vision": 0.0, "projector": 0.0, "prefill": 0.4, "decode": 0.4},
    "active_blocks": {"vision": 0.0, "projector": 0.0, "prefill": 0.9, "decode": 0.9},
}
# What each knob takes from the probability that a word is right, going to nothing.
LOSS: Mapping[Workload, Mapping[Knob, float]] = {
    "qa": {"vision_tokens": 0.3, "top_k": 0.1, "active_blocks": 0.5},
    "captioning": {"vision_tokens": 0.15, "top_k": 0.1, "active_blocks": 0.4},
}

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
SHAPES = ("circle", "square", "triangle", "star", "cross")
WORDINGS = (
    "a {} {} stands beside a {} {}",
    "there is a {} {} next to a {} {}",
    "the picture shows a {} {} and a {} {}",
    "a {} {} with a {} {} on a plain ground",
    "one {} {} and one {} {} on a plain background",
)


@dataclass(frozen=True)
class World:
    """How latency and quality come about; the defaults are as one would expect them to be."""

    vision_tokens: Values = (144, 36, 16)
    top_k: Values = (4, 2, 1)
    active_blocks: Values = (8, 6, 4)
    n_images: int = 40
    questions_per_image: int = 1
    shared_images: bool = True
    e1_requests: int = 40
    """Requests of each workload in E1."""
    e2_requests: int = 12
    """Requests of each workload timed at each setting."""
    answered_requests: int | None = None
    """Requests of each workload answered in batches at each setting; as many as timed."""
    other_in_batches: float = 0.0
    """Probability that a batch says something else than a timed request."""
    cut_share: float = 0.0
    """Probability that an answer is cut."""
    observer_requests: int = 4
    repeat_requests: int = 0
    """Requests measured in every trial."""
    n_trials: int = 20
    """Trials that images are dealt to in turn."""
    output_tokens: Mapping[Workload, int] = field(
        default_factory=lambda: {"qa": 2, "captioning": 30}
    )
    decode_mode: DecodeModeChoice = "free"
    reference_tokens: Mapping[Workload, int] = field(
        default_factory=lambda: {"qa": 3, "captioning": 40}
    )
    """Length of outputs in mode `reference_length`."""
    cost_ms: Mapping[Workload, PerStage] = field(
        default_factory=lambda: {"qa": COST_MS, "captioning": COST_MS}
    )
    scales: Mapping[Knob, PerStage] = field(default_factory=lambda: SCALES)
    loss: Mapping[Workload, Mapping[Knob, float]] = field(default_factory=lambda: LOSS)
    right_at_reference: float = 0.9
    """Probability that a word is right at the reference setting."""
    image_noise: float = 0.05
    """Relative spread of latency between images, the same in every cell."""
    trial_noise: float = 0.0
    """Relative spread of latency between trials, apart in every cell."""
    row_noise: float = 0.02
    """Relative spread of latency between measurements of one request."""

    @cached_property
    def grid(self) -> tuple[Setting, ...]:
        """Every setting, the reference first."""
        values = product(self.vision_tokens, self.top_k, self.active_blocks)
        return tuple(Setting(vision_tokens=v, top_k=k, active_blocks=b) for v, k, b in values)

    def share(self, knob: Knob, setting: Setting) -> float:
        """Value of a knob as a fraction of its reference."""
        value, largest = getattr(setting, knob), getattr(self.grid[0], knob)
        return 1.0 if largest is None else value / largest

    def n_tokens(self, workload: Workload, mode: DecodeMode) -> int:
        """Length of an output."""
        return (self.output_tokens if mode == "free" else self.reference_tokens)[workload]

    def stage_ms(
        self, workload: Workload, setting: Setting, mode: DecodeMode = "free"
    ) -> dict[Stage, float]:
        """True mean time of each stage."""
        return {stage: self._one_stage_ms(workload, setting, stage, mode) for stage in STAGES}

    def _one_stage_ms(
        self, workload: Workload, setting: Setting, stage: Stage, mode: DecodeMode
    ) -> float:
        tokens = self.n_tokens(workload, mode) - 1 if stage == "decode" else 1
        left = [1 - self.scales[knob][stage] * (1 - self.share(knob, setting)) for knob in KNOBS]
        return self.cost_ms[workload][stage] * tokens * math.prod(left)

    def right(self, workload: Workload, setting: Setting) -> float:
        """Probability that a word of the output is right."""
        lost = [self.loss[workload][knob] * (1 - self.share(knob, setting)) for knob in KNOBS]
        return max(0.0, self.right_at_reference - sum(lost))


def simulate_requests(workload: Workload, world: World | None = None) -> RequestSet:
    """The requests of one workload: each image shows two shapes."""
    world = world or World()
    repeats = world.questions_per_image if workload == "qa" else 1
    requests = tuple(
        _request(workload, world, image, question)
        for image in range(world.n_images)
        for question in range(repeats)
    )
    corpus = {r.image_id: r.references for r in requests} if workload == "captioning" else {}
    digests = {request.image: "0" for request in requests}
    return RequestSet.of(workload, "simulated", requests, digests, corpus)


def _request(workload: Workload, world: World, image: int, question: int) -> Request:
    seen = _seen(image)
    image_id = f"image-{image:04}" if world.shared_images else f"{workload}-image-{image:04}"
    asks = workload == "qa"
    return Request(
        request_id=f"{workload}-{image:04}-{question}",
        image_id=image_id,
        image=f"images/{image_id}.png",
        prompt=f"Which colour is the {seen[1]}?" if asks else "Describe the image.",
        references=(seen[0],) * 10 if asks else tuple(w.format(*seen) for w in WORDINGS),
        kind="colour" if asks else None,
    )


def _seen(image: int) -> tuple[str, str, str, str]:
    draw = np.random.default_rng(image).integers
    colours, shapes = draw(len(COLOURS), size=2), draw(len(SHAPES), size=2)
    return COLOURS[colours[0]], SHAPES[shapes[0]], COLOURS[colours[1]], SHAPES[shapes[1]]


def simulate_rows(seed: int = 0, world: World | None = None) -> list[MeasuredRequest]:
    """The rows of a whole run: E1, the grid of E2, and the observer rows."""
    world = world or World()
    rng = np.random.default_rng(seed)
    return list(_rows(world, rng))


def _rows(world: World, rng: np.random.Generator) -> Iterator[MeasuredRequest]:
    order = 0
    machine = np.random.default_rng(int(rng.integers(2**32)))
    # Drawn once by name of the image, so that workloads that share images share what they do.
    slowness = rng.normal(size=world.n_images), rng.normal(size=world.n_images)
    for workload in WORKLOADS:
        requests = simulate_requests(workload, world).requests
        tempers = slowness[0 if world.shared_images else WORKLOADS.index(workload)]
        repeats = len(requests) // world.n_images
        for plan in _plan(world):
            spells = np.exp(world.trial_noise * machine.normal(size=world.n_trials))
            for number, request in enumerate(requests[: plan["n"]]):
                image = number // repeats
                trial = plan.get("trial", image % world.n_trials)
                pace = math.exp(world.image_noise * tempers[image]) * float(spells[trial])
                yield _row(world, workload, request, plan | {"trial": trial}, order, pace, rng)
                order += 1


def _plan(world: World) -> list[dict[str, Any]]:
    reference = world.grid[0]
    observer = {"experiment": "observer", "setting": reference, "n": world.observer_requests}
    main, *_ = modes = decode_passes(world.decode_mode)
    e1 = {"experiment": "e1", "setting": reference, "marked": True, "n": world.e1_requests}
    e2 = [
        {"experiment": "e2", "setting": s, "marked": True, "n": world.e2_requests}
        for s in world.grid
    ]
    repeat = {"experiment": "repeat", "setting": reference, "marked": True}
    repeat |= {"n": world.repeat_requests}
    return [
        *(cell | {"decode_mode": mode} for mode in modes for cell in (e1, *e2)),
        *(observer | {"marked": marked, "decode_mode": main} for marked in (True, False)),
        *(repeat | {"decode_mode": main, "trial": t} for t in range(world.n_trials)),
    ]


def _row(
    world: World,
    workload: Workload,
    request: Request,
    plan: Mapping[str, Any],
    order: int,
    pace: float,
    rng: np.random.Generator,
) -> MeasuredRequest:
    setting, marked, mode = plan["setting"], plan["marked"], plan["decode_mode"]
    noise = np.exp(world.row_noise * rng.normal(size=len(STAGES))) * pace
    times = world.stage_ms(workload, setting, mode).values()
    stages = [float(ms * factor) for ms, factor in zip(times, noise, strict=True)]
    vision, projector, prefill, decode = stages if marked else [None] * len(STAGES)
    words = _output(world, workload, request, setting, rng)
    return MeasuredRequest(
        experiment=plan["experiment"],
        order=order,
        trial=plan["trial"],
        workload=workload,
        request_id=request.request_id,
        image_id=request.image_id,
        vision_tokens=setting.vision_tokens,
        top_k=setting.top_k,
        active_blocks=setting.active_blocks,
        decode_mode=mode,
        marked=marked,
        planned_vision_tokens=setting.vision_tokens or 144,
        observed_vision_tokens=setting.vision_tokens or 144 if marked else None,
        observed_top_k=setting.top_k if marked else None,
        observed_active_blocks=(setting.active_blocks or 8) if marked else None,
        preprocess_ms=1.5,
        open_image_ms=0.5,
        vision_ms=vision,
        projector_ms=projector,
        prefill_ms=prefill,
        decode_ms=decode,
        total_ms=sum(stages),
        n_prompt_tokens=160,
        n_output_tokens=world.n_tokens(workload, mode),
        finish_reason="stop" if mode == "free" else "length",
        output_text=" ".join(words),
        peak_memory_mb=300.0,
    )


def simulate_answers(
    rows: Sequence[MeasuredRequest], world: World | None = None, seed: int = 0
) -> list[Answer]:
    """What batches say: the same as the rows where a request was timed, but for some."""
    world = world or World()
    rng = np.random.default_rng([seed, 1])
    free = (r for r in rows if (r.experiment, r.decode_mode) == ("e2", "free"))
    said = {(r.request_id, _setting_of(r)): r.output_text for r in free}
    n = world.e2_requests if world.answered_requests is None else world.answered_requests
    return [
        _answer(world, workload, request, setting, said.get((request.request_id, setting)), rng)
        for workload in WORKLOADS
        for setting in world.grid
        for request in simulate_requests(workload, world).requests[:n]
    ]


def _setting_of(row: MeasuredRequest) -> Setting:
    return Setting(**{knob: getattr(row, knob) for knob in KNOBS})


def _answer(
    world: World,
    workload: Workload,
    request: Request,
    setting: Setting,
    said: str | None,
    rng: np.random.Generator,
) -> Answer:
    text = " ".join(_output(world, workload, request, setting, rng)) if said is None else said
    return Answer(
        workload=workload,
        request_id=request.request_id,
        image_id=request.image_id,
        **setting.model_dump(),
        n_output_tokens=world.output_tokens[workload],
        finish_reason="length" if rng.random() < world.cut_share else "stop",
        output_text="nothing" if rng.random() < world.other_in_batches else text,
    )


def _output(
    world: World, workload: Workload, request: Request, setting: Setting, rng: np.random.Generator
) -> list[str]:
    words = request.references[0].split()
    right = rng.random(len(words)) < world.right(workload, setting)
    return [word if kept else "thing" for word, kept in zip(words, right, strict=True)]


def simulate_run(
    world: World | None = None, rows: Sequence[MeasuredRequest] | None = None
) -> ProfileRun:
    """The record of the run: valid, on a machine that does not exist."""
    world = world or World()
    n_settings = len(world.grid)
    n_passes = len(decode_passes(world.decode_mode))
    each = n_passes * (world.e1_requests + n_settings * world.e2_requests)
    each += 2 * world.observer_requests + world.n_trials * world.repeat_requests
    return ProfileRun(
        provenance=_provenance(world),
        validity=Validity(verdict="valid", reasons=(), checks=()),
        decode_mode=world.decode_mode,
        max_new_tokens={"qa": 10, "captioning": 80},
        reference=world.grid[0],
        grid=world.grid,
        block_policy="evenly_spaced",
        kept_blocks={},
        n_rows=len(WORKLOADS) * each,
        rows_fingerprint=rows_fingerprint(rows) if rows else None,
        device_rates=DeviceRates(copy_gb_per_s=20.0, matrix_tflop_per_s=0.1),
        work=simulate_work(world),
        runtime_agreement=None,
    )


def simulate_answers_run(
    world: World | None = None, answers: Sequence[Answer] | None = None
) -> AnswersRun:
    """The record of answers to the same requests by the same model."""
    world = world or World()
    n = world.answered_requests or world.e2_requests
    made = AnswersMade(
        model="data/models/simulated",
        model_fingerprint="0",
        data_fingerprints=_data_fingerprints(world),
        dtype="float32",
        max_new_tokens={"qa": 10, "captioning": 80},
        n_requests={"qa": n, "captioning": n},
        batch_size=32,
        kept_blocks={},
        n_cells_reused=0,
        n_cells_computed=len(WORKLOADS) * len(world.grid),
        answers_fingerprint=rows_fingerprint(answers) if answers else None,
    )
    return AnswersRun(made=made, not_available=None)


def _data_fingerprints(world: World) -> dict[Workload, str]:
    return {w: simulate_requests(w, world).fingerprint for w in WORKLOADS}


def _provenance(world: World) -> Provenance:
    return Provenance(
        started_at="2025-01-01T00:00:00+00:00",
        duration_s=60.0,
        model="data/models/simulated",
        model_changes={},
        model_class="SimulatedModel",
        model_fingerprint="0",
        revision=None,
        weights="pretrained",
        data_fingerprints=_data_fingerprints(world),
        device="simulated CPU",
        device_type="cpu",
        n_cores=2,
        n_threads=2,
        memory_gb=8.0,
        platform="simulated",
        dtype="float32",
        image_processor="SimulatedImageProcessor",
        experts_implementation="eager",
        attention_implementation="sdpa",
        runtime="eager",
        versions={"python": "3.11"},
        git_commit=None,
    )


def simulate_work(world: World) -> tuple[CellWork, ...]:
    """Work at every setting: the same operations for each visual token, block and expert."""
    return tuple(
        CellWork(workload=w, request_id=f"{w}-0000-0", setting=setting, stages=_work_of(setting))
        for setting in world.grid
        for w in WORKLOADS
    )


def _work_of(setting: Setting) -> dict[Stage, StageWork]:
    tokens = {"vision": 1, "projector": 1, "prefill": setting.vision_tokens or 1, "decode": 1}
    return {
        stage: StageWork(
            operations=2e6 * tokens[stage] * (setting.active_blocks or 1),
            weight_bytes=4e6 * (setting.active_blocks or 1),
            cache_bytes=1e5 if stage == "decode" else 0.0,
        )
        for stage in STAGES
    }
