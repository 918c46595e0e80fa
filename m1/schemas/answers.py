"""Files of the answers stage: a row for each answer, and a record of how the answers were made."""

from typing import Literal, Self

from pydantic import JsonValue, model_validator

from m1.schemas.base import Count, Fingerprint, FromOne, Keyed, Record
from m1.schemas.markup import Markup
from m1.schemas.requests import ByWorkload, Workload
from m1.schemas.settings import Setting


class Answer(Record):
    """The model's output for one request at one setting, made in a batch."""

    workload: Workload
    """Workload of the request."""
    request_id: str
    """Id of the request."""
    image_id: str
    """Id of its image. If the image was not timed, it is a unit of the bootstrap."""
    vision_tokens: FromOne | None
    """Setting of this knob; null leaves the model as it is."""
    top_k: FromOne | None
    """Setting of this knob; null leaves the model as it is."""
    active_blocks: FromOne | None
    """Setting of this knob; null leaves the model as it is."""
    n_output_tokens: FromOne
    """Number of tokens in the output, including the end-of-sequence token."""
    finish_reason: Literal["stop", "length"]
    """Why the output ended. `stop`: at an end-of-sequence token. `length`: cut at
    `max_new_tokens`."""
    output_text: str
    """The model's output, with its marks of reasoning or of the answer."""


class AnswerKey(Record):
    """Everything that decides the answers of one cell. With the same key, answers are reused."""

    workload: Workload
    """Workload of the requests."""
    data_fingerprint: str
    """Fingerprint of the request set."""
    n_requests: int
    """Number of its requests that are answered, from the first on."""
    setting: Setting
    """The setting of the knobs."""
    model_fingerprint: str
    """SHA-256 over all loaded parts of the model."""
    inputs_fingerprint: str
    """SHA-256 over the model's inputs for the first request."""
    kept_blocks: tuple[int, ...] | None
    """Decoder blocks that ran; null if the knob leaves them as they are."""
    options: dict[str, JsonValue]
    """Parameters of model and knobs that are not in a fingerprint, such as `dtype`."""
    device_type: str
    """`cpu` or `cuda`."""
    max_new_tokens: int
    """Longest output in tokens."""
    batch_size: FromOne
    """Largest number of requests answered in one batch."""
    code: str
    """SHA-256 of the source code that makes answers."""
    versions: dict[str, str]
    """Versions of the libraries that make answers."""


class AnsweredCell(Keyed):
    """The answers of one cell, which are kept to be used again."""

    key: AnswerKey
    """Everything that decided the answers."""
    answers: tuple[Answer, ...]
    """The answers, in the order of the request set."""
    answers_fingerprint: Fingerprint
    """Fingerprint of the answers. Answers that were changed later are not used."""


class AnswersMade(Record):
    """How the answers of all cells were made."""

    model: str
    """`model.source`."""
    model_fingerprint: str
    """SHA-256 over all loaded parts of the model."""
    data_fingerprints: ByWorkload[str]
    """Fingerprints of the request sets."""
    dtype: str
    """Number type of the computations."""
    max_new_tokens: ByWorkload[FromOne]
    """Longest output in tokens."""
    n_requests: ByWorkload[FromOne]
    """Requests answered at each setting."""
    batch_size: FromOne
    """Largest number of requests answered in one batch."""
    kept_blocks: dict[str, tuple[int, ...]]
    """For each number of active blocks, the blocks that are active."""
    markup: Markup | None = None
    """The model's marks, which decide the part of an output that is scored. Null if they were not
    recorded; then the whole output is scored."""
    n_cells_reused: Count
    """Cells whose answers were kept from an earlier run."""
    n_cells_computed: Count
    """Number of cells that this run answered."""
    answers_fingerprint: Fingerprint | None = None
    """Fingerprint of the table of answers; null in records of earlier versions."""


class AnswersRun(Record):
    """The record of the answers stage (`data/answers/run.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made: AnswersMade | None
    """How the answers were made; null if there are no answers."""
    not_available: str | None
    """Why there are no answers, in a sentence; null if there are answers."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.made is None) == (self.not_available is None):
            raise ValueError("either answers were made, or not_available says why not")
        return self
