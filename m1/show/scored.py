"""Read the scored outputs of a workload, together with their requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from m1.analysis.cells import labels_of
from m1.analysis.inputs import check_unchanged, origin_of, read_scores
from m1.analysis.row_mistakes import mistakes_of_requests
from m1.errors import UserError
from m1.files import read_record
from m1.origin import apart
from m1.prepared import read_requests, read_requests_and_images
from m1.schemas.answers import AnswersMade, AnswersRun
from m1.schemas.requests import Request, Workload
from m1.schemas.results import ParetoResult
from m1.schemas.settings import KNOBS, Setting

RECORD = Path("data/answers/run.json")
AGAIN = "run `dvc repro`"


def frontier_file(workload: Workload) -> Path:
    """The frontier, which says which scores and requests belong together."""
    return Path(f"metrics/e2_pareto_{workload}.json")


def scores_file(workload: Workload) -> Path:
    """The scored answers."""
    return Path(f"data/scores/{workload}.parquet")


def _requests_folder(workload: Workload) -> Path:
    """The requests, with their images."""
    return Path(f"data/requests/{workload}")


def files_of(workloads: Sequence[Workload], *, images: bool) -> list[Path]:
    """The files and folders to read, as paths from the root of a project."""
    folders = [_requests_folder(workload) for workload in workloads]
    return [
        RECORD,
        *map(frontier_file, workloads),
        *map(scores_file, workloads),
        *(folder if images else folder / "requests.json" for folder in folders),
    ]


@dataclass(frozen=True)
class ScoredOutputs:
    """The scored outputs of a workload."""

    workload: Workload
    made: AnswersMade
    """How they were made."""
    requests: dict[str, Request]
    """The requests by their ids."""
    folder: Path
    """The folder of their images."""
    rows: pd.DataFrame
    """`ScoredAnswer`s, with the `label` of their setting."""

    @classmethod
    def read(cls, project: Path, workload: Workload, *, images: bool = False) -> Self:
        """Read the scored outputs of the last run in a project.

        Args:
            project: the folder of the project.
            workload: the workload.
            images: whether images are needed, and are checked to be the ones that were answered.

        Raises:
            UserError: if nothing was scored, a file is missing, or they do not belong together.
        """
        record, folder = project / RECORD, project / _requests_folder(workload)
        made = _made(record)
        frontier, scored = project / frontier_file(workload), project / scores_file(workload)
        result = read_record(ParetoResult, frontier)
        origin = origin_of(workload, frontier, result)
        check_unchanged(frontier, result)
        if made.answers_fingerprint not in (None, origin.answers):
            raise apart(record, frontier, "the frontier is that of other answers", AGAIN)
        rows = read_scores(scored, frontier, result)
        requests = (
            read_requests_and_images(folder) if images else read_requests(folder / "requests.json")
        )
        if requests.fingerprint != origin.requests[workload]:
            wrong = "the frontier is that of other requests"
            raise apart(folder / "requests.json", frontier, wrong, AGAIN)
        for wrong in mistakes_of_requests(requests, rows):
            raise apart(scored, folder / "requests.json", wrong, AGAIN)
        by_id = {request.request_id: request for request in requests.requests}
        return cls(workload, made, by_id, folder, rows.assign(label=labels_of(rows)))

    @property
    def reference(self) -> str:
        """Label of the setting with the largest value of each knob."""
        largest = {knob: self.rows[knob].max() for knob in KNOBS}
        return Setting(**{k: None if pd.isna(v) else int(v) for k, v in largest.items()}).label


def _made(file: Path) -> AnswersMade:
    """How answers were made.

    Raises:
        UserError: if outputs are no answers.
    """
    record = read_record(AnswersRun, file)
    if record.made is None:
        raise UserError(f"no outputs were scored: {record.not_available}")
    return record.made
