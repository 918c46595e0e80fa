"""What the answers stage writes: one row per answer, and the record of how they were made."""

from typing import Literal, Self

from pydantic import JsonValue, model_validator

from m1.schemas.base import Keyed, Record
from m1.schemas.markup import Markup
from m1.schemas.quantities import Count, Fingerprint, FromOne
from m1.schemas.requests import ByWorkload, Workload
from m1.schemas.settings import Setting


class Answer(Record):
    """What the model wrote for one request at one setting, in a batch."""

    workload: Workload
    """Workload of the request."""
    request_id: str
    """Id of the request."""
    image_id: str
    """Id of the image. An image that was not timed is a unit of the bootstrap."""
    vision_tokens: FromOne | None
    """Value of this knob; null leaves the model as it is."""
    top_k: FromOne | None
    """Value of this knob."""
    active_blocks: FromOne | None
    """Value of this knob."""
    n_output_tokens: FromOne
    """Number of tokens in the output, including the end-of-sequence token."""
    finish_reason: Literal["stop", "length"]
    """`length`: the output was cut at its largest length."""
    output_text: str
    """The output as the model wrote it, with the marks of reasoning or answer."""


class AnswerKey(Record):
    """All that decides the answers of one cell. Cells with equal keys need not run again."""

    workload: Workload
    """Workload of the requests."""
    data_fingerprint: str
    """Fingerprint of the request set."""
    n_requests: int
    """Number of requests, counted from the first."""
    setting: Setting
    """The setting of the knobs."""
    model_fingerprint: str
    """SHA-256 of everything that was loaded for the model."""
    inputs_fingerprint: str
    """SHA-256 of the first request as the model receives it."""
    kept_blocks: tuple[int, ...] | None
    """Decoder blocks that ran; null if the knob leaves them as they are."""
    options: dict[str, JsonValue]
    """Parameters of model and knobs that no fingerprint covers, such as `dtype`."""
    device_type: str
    """`cpu` or `cuda`."""
    max_new_tokens: int
    """Longest output in tokens."""
    batch_size: FromOne
    """Largest number of requests in a batch."""
    code: str
    """SHA-256 of the source code that makes answers."""
    versions: dict[str, str]
    """Versions of the libraries that make answers."""


class AnsweredCell(Keyed):
    """The answers of one cell, as they are stored for later runs."""

    key: AnswerKey
    """The key of the cell."""
    answers: tuple[Answer, ...]
    """The answers, in the order of the request set."""
    answers_fingerprint: Fingerprint
    """Fingerprint of the answers. Answers that do not match it are not used."""


class AnswersMade(Record):
    """How the answers of all cells were made."""

    model: str
    """`model.source`."""
    model_fingerprint: str
    """SHA-256 of everything that was loaded for the model."""
    data_fingerprints: ByWorkload[str]
    """Fingerprints of the request sets."""
    dtype: str
    """Number format of weights and arithmetic."""
    max_new_tokens: ByWorkload[FromOne]
    """Longest output in tokens."""
    n_requests: ByWorkload[FromOne]
    """Requests answered at each setting."""
    batch_size: FromOne
    """Largest number of requests in a batch."""
    kept_blocks: dict[str, tuple[int, ...]]
    """For each number of active blocks: the blocks that ran."""
    markup: Markup | None = None
    """The marks that decide which part of an output is scored; null: not recorded, all is
    scored."""
    n_cells_reused: Count
    """Number of cells with answers from an earlier run."""
    n_cells_computed: Count
    """Number of cells that this run answered."""
    answers_fingerprint: Fingerprint | None = None
    """Fingerprint of the table of answers; null in records of earlier versions."""


class AnswersRun(Record):
    """The record of the answers stage (`data/answers/run.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made: AnswersMade | None
    """How the answers were made; null if there are none."""
    not_available: str | None
    """Why there are no answers, in a sentence."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.made is None) == (self.not_available is None):
            raise ValueError("either answers were made, or not_available says why not")
        return self
