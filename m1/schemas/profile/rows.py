"""The rows of a profile run, one for each measured request."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import model_validator

from m1.schemas.base import Amount, Count, FromOne, Positive, Record, with_each
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeMode

Experiment = Literal["e1", "e2", "observer", "anchor", "repeat"]
REPEATED: tuple[Experiment, ...] = ("anchor", "repeat")
"""Experiments that measure the same requests in every trial."""
Stage = Literal["vision", "projector", "prefill", "decode"]
STAGES: tuple[Stage, ...] = ("vision", "projector", "prefill", "decode")
T = TypeVar("T")
ByStage = Annotated[dict[Stage, T], with_each(STAGES)]
"""A value for each stage. All four stages must have one."""


class MeasuredRequest(Record):
    """One request at one setting: what was asked for, what was observed, times, and output."""

    experiment: Experiment
    """`e1`: at the reference setting. `e2`: over the grid. `observer`: with and without marks.
    `anchor`: the same requests in every trial, at the model's native setting. `repeat`: the same in
    runs of earlier versions, at the reference setting."""
    order: int
    """Place in the order of measurement, from 0."""
    trial: Count
    """Round over all cells, from 0. The trial is the unit of the bootstrap."""
    process: Count = 0
    """The process that measured the trial, from 0."""
    workload: Workload
    """Workload of the request."""
    request_id: str
    """Id of the request."""
    image_id: str
    """Id of its image."""
    vision_tokens: FromOne | None
    """Requested setting of this knob; null leaves the model as it is."""
    top_k: FromOne | None
    """Requested setting of this knob; null leaves the model as it is."""
    active_blocks: FromOne | None
    """Requested setting of this knob; null leaves the model as it is."""
    decode_mode: DecodeMode
    """When the output ends. `free`: at an end-of-sequence token. `reference_length`: at the length
    of the reference answer."""
    marked: bool
    """Whether stage boundaries were marked. If not, the stage times are null."""
    planned_vision_tokens: Count
    """Number of places for visual tokens in the prompt: the requested number, or the nearest
    possible one."""
    observed_vision_tokens: Count | None
    """Number of visual tokens that reached the language model; null in rows without marks."""
    observed_top_k: FromOne | None
    """Number of experts for each token; null without marks or experts."""
    observed_active_blocks: FromOne | None
    """Number of decoder blocks that ran; null in rows without marks."""
    preprocess_ms: Amount
    """Time from the image's file to inputs on the device; not part of `total_ms`. It has these
    steps: open the image, make it larger or smaller for `vision_tokens`, image processor,
    tokenizer, copy to the device. The file is already in memory, so no disk or download is
    included. If `open_image_ms` is null, opening the image is not included."""
    open_image_ms: Amount | None = None
    """The part of `preprocess_ms` from the file's bytes to upright RGB pixels. Null in rows of
    earlier versions, which did not measure it."""
    vision_ms: Amount | None
    """T_vision."""
    projector_ms: Amount | None
    """T_projector."""
    prefill_ms: Amount | None
    """T_prefill, until the first token is known."""
    decode_ms: Amount | None
    """T_decode, from the time when the first token is known until the last one is known."""
    total_ms: Positive
    """T_total, measured separately: from inputs on the device until the last token is known."""
    n_prompt_tokens: FromOne
    """Prompt tokens, visual tokens included."""
    n_output_tokens: FromOne
    """Tokens written, the end-of-sequence token included."""
    finish_reason: Literal["stop", "length"]
    """Why the output ended. `stop`: at an end-of-sequence token. `length`: at the largest allowed
    number of tokens."""
    output_text: str
    """The model's output."""
    peak_memory_mb: Amount | None
    """Peak device memory of the request on a GPU; peak resident memory so far on a CPU."""

    @model_validator(mode="after")
    def _opening_is_part_of_preprocessing(self) -> Self:
        if self.open_image_ms is not None and self.open_image_ms > self.preprocess_ms:
            raise ValueError(
                f"open_image_ms = {self.open_image_ms}: more than preprocess_ms, of which it is "
                "a part"
            )
        return self
