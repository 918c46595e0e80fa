"""What the answers stage writes: one row per answer, and the record of how they were made."""

from typing import Literal, Self

from pydantic import JsonValue, model_validator

from m1.schemas.base import Record
from m1.schemas.markup import Markup
from m1.schemas.quantities import Count, Fingerprint, FromOne
from m1.schemas.requests import ByWorkload, Workload
from m1.schemas.settings import Setting


class Answer(Record):
    """What the model wrote for one request at one setting, in a batch."""

    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    image_id: str
    """Its image; the unit of the bootstrap where it was not timed."""
    vision_tokens: FromOne | None
    """The setting; null leaves the model as it is."""
    top_k: FromOne | None
    """The setting."""
    active_blocks: FromOne | None
    """The setting."""
    n_output_tokens: FromOne
    """Tokens written, the end-of-sequence token included."""
    finish_reason: Literal["stop", "length"]
    """`length`: cut at the longest output."""
    output_text: str
    """What the model wrote, with what marks reasoning or the answer in it."""


class AnswerKey(Record):
    """All that decides the answers of one cell: what has the same key need not run again."""

    workload: Workload
    """Whose requests."""
    data_fingerprint: str
    """Fingerprint of the request set."""
    n_requests: int
    """How many of its requests, from the first."""
    setting: Setting
    """Where the knobs are."""
    model_fingerprint: str
    """SHA-256 over all that was loaded of the model."""
    inputs_fingerprint: str
    """SHA-256 over the first request as the model gets it."""
    kept_blocks: tuple[int, ...] | None
    """Decoder blocks that ran; null where the knob leaves them as they are."""
    options: dict[str, JsonValue]
    """Parameters of model and knobs that are part of no fingerprint, such as `dtype`."""
    device_type: str
    """`cpu` or `cuda`."""
    max_new_tokens: int
    """Longest output in tokens."""
    batch_size: FromOne
    """Requests answered at once, at the most."""
    code: str
    """SHA-256 over the source that makes answers."""
    versions: dict[str, str]
    """Versions of the libraries that make answers."""


class AnsweredCell(Record):
    """The answers of one cell, as they are kept to be used again."""

    key: AnswerKey
    """What they are the answers to."""
    answers: tuple[Answer, ...]
    """In the order of the request set."""
    answers_fingerprint: Fingerprint
    """Of the answers: those that were changed are not used."""


class AnswersMade(Record):
    """How the answers of all cells were made."""

    model: str
    """`model.source`."""
    model_fingerprint: str
    """SHA-256 over all that was loaded of the model."""
    data_fingerprints: ByWorkload[str]
    """Fingerprints of the request sets."""
    dtype: str
    """Arithmetic."""
    max_new_tokens: ByWorkload[FromOne]
    """Longest output in tokens."""
    n_requests: ByWorkload[FromOne]
    """Requests answered at each setting."""
    batch_size: FromOne
    """Requests answered at once, at the most."""
    kept_blocks: dict[str, tuple[int, ...]]
    """Number of active blocks to which they are."""
    markup: Markup | None = None
    """The part of an output that is scored, by the marks of the model; null: not recorded, all."""
    n_cells_reused: Count
    """Cells whose answers were there from an earlier run."""
    n_cells_computed: Count
    """Cells answered in this run."""
    answers_fingerprint: Fingerprint | None = None
    """Of the table of answers; null in records of earlier versions."""


class AnswersRun(Record):
    """The record of the answers stage (`data/answers/run.json`)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    made: AnswersMade | None
    """How the answers were made; null where there are none."""
    not_available: str | None
    """Why there are none, in a sentence."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.made is None) == (self.not_available is None):
            raise ValueError("either answers were made, or not_available says why not")
        return self
