"""The files of a run with scored outputs to show: few requests, two settings."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from m1.files import write_record, write_rows
from m1.origin import rows_fingerprint
from m1.schemas.answers import AnswersMade, AnswersRun
from m1.schemas.markup import Markup
from m1.schemas.origin import MadeFrom
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload
from m1.schemas.results import ParetoResult, ScoredAnswer
from m1.schemas.settings import Setting

REFERENCE = Setting(vision_tokens=144, top_k=None, active_blocks=8)
FEWER = Setting(vision_tokens=16, top_k=None, active_blocks=8)
WHY_NONE = "The weights are random, so answers mean nothing."
N_REQUESTS = 4
FINGERPRINT = "a" * 64


def request(workload: Workload, n: int, **changes: Any) -> Request:
    """A request with its own picture."""
    fields: dict[str, Any] = {
        "request_id": f"{workload}-{n}",
        "image_id": f"image-{n}",
        "image": f"images/{n}.png",
        "prompt": f"What is in picture {n}?",
        "references": ("cup",) * 9 + ("mug",) if workload == "qa" else ("A cup.", "A blue cup."),
        "kind": None,
    }
    return Request(**fields | changes)


def answer(asked: Request, workload: Workload, setting: Setting, **changes: Any) -> ScoredAnswer:
    """The output; by default, a request with a larger number has a better output."""
    n = int(asked.image_id.removeprefix("image-"))
    quality = n / 10 + (0.5 if setting == REFERENCE else 0.0)
    fields: dict[str, Any] = {
        "workload": workload,
        "request_id": asked.request_id,
        "image_id": asked.image_id,
        **setting.model_dump(),
        "n_output_tokens": 3,
        "finish_reason": "stop",
        "output_text": f"{workload} output {n} at {setting.label}",
        "scored_text": f"{workload} output {n} at {setting.label}",
        "quality": quality,
    }
    return ScoredAnswer(**fields | changes)


def write_scored(
    project: Path,
    of_request: Mapping[str, Any] | None = None,
    of_answer: Mapping[str, Any] | None = None,
    **made: Any,
) -> Path:
    """Write all that `m1 answers` reads, request 0 and its answers with entries replaced."""
    for workload in WORKLOADS:
        asked = [request(workload, n, **(of_request or {}) if n == 0 else {}) for n in range(4)]
        answers = [
            answer(one, workload, setting, **(of_answer or {}) if n == 0 else {})
            for setting in (REFERENCE, FEWER)
            for n, one in enumerate(asked)
        ]
        write_workload(project, workload, asked, answers)
    return write_made(project, **made)


def write_workload(
    project: Path, workload: Workload, asked: Sequence[Request], answers: Sequence[ScoredAnswer]
) -> None:
    """Requests with their pictures, scores, and the result that names both."""
    folder = project / "data/requests" / workload
    digests = {one.image: write_picture(folder / one.image, n) for n, one in enumerate(asked)}
    requests = RequestSet.of(workload, "made up", tuple(asked), digests, {})
    write_record(requests, folder / "requests.json")
    write_rows(answers, project / f"data/scores/{workload}.parquet")
    result = ParetoResult(
        workload=workload,
        quality_not_available="Too few to tell.",
        frontier=None,
        agreement=None,
        made_from=MadeFrom(
            run=FINGERPRINT,
            answers=FINGERPRINT,
            requests=dict.fromkeys(WORKLOADS, requests.fingerprint),
            analysis={},
        ),
        scores_fingerprint=rows_fingerprint(answers),
    )
    named = result.model_copy(update={"fingerprint": result.content_fingerprint})
    write_record(named, project / f"metrics/e2_pareto_{workload}.json")


def write_picture(place: Path, n: int, size: tuple[int, int] = (40, 30)) -> str:
    """A picture of one colour; its digest."""
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (40 * n, 90, 160)).save(place)
    return hashlib.sha256(place.read_bytes()).hexdigest()


def write_made(project: Path, **changes: Any) -> Path:
    """The record of the answers."""
    fields: dict[str, Any] = {
        "model": "models/mine",
        "model_fingerprint": FINGERPRINT,
        "data_fingerprints": dict.fromkeys(WORKLOADS, FINGERPRINT),
        "dtype": "float32",
        "max_new_tokens": dict.fromkeys(WORKLOADS, 10),
        "n_requests": dict.fromkeys(WORKLOADS, N_REQUESTS),
        "batch_size": 8,
        "kept_blocks": {},
        "markup": Markup(),
        "n_cells_reused": 0,
        "n_cells_computed": 4,
        "answers_fingerprint": FINGERPRINT,
    }
    record = AnswersRun(made=AnswersMade(**fields | changes), not_available=None)
    write_record(record, project / "data/answers/run.json")
    return project


def write_none_made(project: Path) -> Path:
    """The record of a run without quality."""
    write_record(AnswersRun(made=None, not_available=WHY_NONE), project / "data/answers/run.json")
    return project
