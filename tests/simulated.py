"""Made-up runs whose truth is known: what the profile stage would write in a given world."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from import_graph import ROOT

from benchmarks.worlds import Mechanism
from m1.analysis.cells import DECODE
from m1.files import write_record, write_rows
from m1.origin import rows_fingerprint
from m1.prepared import PreparedRequests
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
from m1.schemas.settings import KNOBS, NATIVE, DecodeMode, DecodeModeChoice, Setting, decode_passes

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
class World(Mechanism):
    """Runs of both workloads; the defaults are as one would expect them to be."""

    stage_noise: float = 0.02
    """Standard deviation of the logarithm of each stage's time between measurements."""
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
    anchor_requests: int = 0
    """Requests measured in every trial, at the native setting."""
    n_trials: int = 20
    """Trials that images are dealt to in turn."""
    output_tokens: Mapping[Workload, int] = field(
        default_factory=lambda: {"qa": 2, "captioning": 30}
    )
    """Typical length of outputs."""
    decode_mode: DecodeModeChoice = "free"
    reference_tokens: Mapping[Workload, int] = field(
        default_factory=lambda: {"qa": 3, "captioning": 40}
    )
    """The same in mode `reference_length`."""

    def n_steps(self, workload: Workload, mode: DecodeMode) -> int:
        """Typical number of decode steps."""
        return (self.output_tokens if mode == "free" else self.reference_tokens)[workload] - 1

    def stage_ms(
        self, workload: Workload, setting: Setting, mode: DecodeMode = "free"
    ) -> dict[Stage, float]:
        """True time of each stage of a request as long as is typical, but for spreads."""
        times = dict(zip(STAGES, self.step_ms(workload, [setting])[:, 0].tolist(), strict=True))
        return times | {"decode": times["decode"] * self.n_steps(workload, mode)}


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


def prepared_in(folder: Path, *requests: Request, workload: Workload = "qa") -> PreparedRequests:
    """Requests about images in a folder."""
    return PreparedRequests(RequestSet.of(workload, "made up", requests, {}, {}), folder)


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
    # Drawn once by name of the image, so that workloads that share images share what they do.
    tempers = rng.normal(size=world.n_images), rng.normal(size=world.n_images)
    for workload in WORKLOADS:
        requests = simulate_requests(workload, world).requests
        own = tempers[0 if world.shared_images else WORKLOADS.index(workload)]
        # A request writes the same at a setting whenever it is measured.
        spread = world.length_spread, len(requests)
        lengths = {setting: rng.lognormal(0, *spread) for setting in world.grid}
        lengths[NATIVE] = lengths[world.grid[0]]
        for plan in _plan(world):
            some = requests[: plan["n"]]
            images = np.arange(len(some)) // (len(requests) // world.n_images)
            trials = images % world.n_trials
            if "trial" in plan:
                trials = np.full_like(images, plan["trial"])
            typical = world.n_steps(workload, plan["decode_mode"])
            steps = np.rint(typical * lengths[plan["setting"]][: len(some)])
            times = world.times(workload, [plan["setting"]], own[images], trials, rng)[..., 0]
            times *= rng.lognormal(0, world.stage_noise, times.shape)
            times[DECODE] *= steps
            for i, request in enumerate(some):
                place = {"trial": int(trials[i]), "n_tokens": 1 + int(steps[i]), "order": order}
                yield _row(world, workload, request, plan | place, times[:, i].tolist(), rng)
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
    anchor = {"experiment": "anchor", "setting": NATIVE, "marked": True}
    anchor |= {"n": world.anchor_requests}
    return [
        *(cell | {"decode_mode": mode} for mode in modes for cell in (e1, *e2)),
        *(observer | {"marked": marked, "decode_mode": main} for marked in (True, False)),
        *(anchor | {"decode_mode": main, "trial": t} for t in range(world.n_trials)),
    ]


def _row(
    world: World,
    workload: Workload,
    request: Request,
    plan: Mapping[str, Any],
    stages: Sequence[float],
    rng: np.random.Generator,
) -> MeasuredRequest:
    setting, marked, mode = plan["setting"], plan["marked"], plan["decode_mode"]
    vision, projector, prefill, decode = stages if marked else [None] * len(STAGES)
    words = _output(world, workload, request, setting, rng)
    return MeasuredRequest(
        experiment=plan["experiment"],
        order=plan["order"],
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
        n_output_tokens=plan["n_tokens"],
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
    asked = {w: simulate_requests(w, world).requests[:n] for w in WORKLOADS}
    return [
        _answer(world, workload, request, setting, said.get((request.request_id, setting)), rng)
        for workload in WORKLOADS
        for setting in world.grid
        for request in asked[workload]
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
    each += 2 * world.observer_requests + world.n_trials * world.anchor_requests
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
    blocks = dict.fromkeys(STAGES, setting.active_blocks or 1) | {"projector": 0.5}
    return {
        stage: StageWork(
            operations=1e6 * tokens[stage] * blocks[stage],
            weight_bytes=4e6 * blocks[stage],
            cache_bytes=1e5 if stage == "decode" else 0.0,
        )
        for stage in STAGES
    }


def simulate_project(
    folder: Path,
    world: World,
    not_available: str | None = None,
    rows: Sequence[MeasuredRequest] | None = None,
) -> None:
    """Write what the stages before the analysis write; without answers if there is a reason."""
    rows = rows or simulate_rows(0, world)
    write_rows(rows, folder / "data/profile/rows.parquet")
    write_record(simulate_run(world, rows), folder / "data/profile/run.json")
    if not_available:
        record = AnswersRun(made=None, not_available=not_available)
    else:
        answers = simulate_answers(rows, world)
        write_rows(answers, folder / "data/answers/answers.parquet")
        record = simulate_answers_run(world, answers)
    write_record(record, folder / "data/answers/run.json")
    for w in WORKLOADS:
        write_record(simulate_requests(w, world), folder / f"data/requests/{w}/requests.json")
    params = (ROOT / "params.yaml").read_text()
    params = params.replace("n_resamples: 2000", "n_resamples: 100")
    (folder / "params.yaml").write_text(params.replace("min_answers: 50", "min_answers: 5"))
