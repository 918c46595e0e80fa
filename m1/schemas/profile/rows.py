"""The rows of a profile run, one for each measured request."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import model_validator

from m1.schemas.base import Record, with_each
from m1.schemas.quantities import Amount, Count, FromOne, Positive
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeMode

Experiment = Literal["e1", "e2", "observer", "repeat"]
Stage = Literal["vision", "projector", "prefill", "decode"]
STAGES: tuple[Stage, ...] = ("vision", "projector", "prefill", "decode")
T = TypeVar("T")
ByStage = Annotated[dict[Stage, T], with_each(STAGES)]
"""Something for each stage, and for all four."""


class MeasuredRequest(Record):
    """One request at one setting: asked, observed, timed, answered."""

    experiment: Experiment
    """`e1` at the reference setting, `e2` over the grid, `observer` with and without marks,
    `repeat` the same requests in every trial."""
    order: int
    """Place in the order of measurement, from 0."""
    trial: Count
    """Round over all cells, from 0; the unit of the bootstrap."""
    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    image_id: str
    """Its image."""
    vision_tokens: FromOne | None
    """Setting asked for; null leaves the model as it is."""
    top_k: FromOne | None
    """Setting asked for."""
    active_blocks: FromOne | None
    """Setting asked for."""
    decode_mode: DecodeMode
    """When the output ends: `free` at an end-of-sequence token, `reference_length` at the length of
    the reference answer."""
    marked: bool
    """Whether stage boundaries were marked; the stage times are null where not."""
    planned_vision_tokens: Count
    """Visual tokens the prompt has places for: those asked for, or the nearest possible."""
    observed_vision_tokens: Count | None
    """Visual tokens that reached the language model; null in rows without marks."""
    observed_top_k: FromOne | None
    """Experts that each token was routed to; null without marks or experts."""
    observed_active_blocks: FromOne | None
    """Decoder blocks that ran; null in rows without marks."""
    preprocess_ms: Amount
    """From the image's file to inputs on the device; not part of `total_ms`. After the image is
    open: made larger or smaller for `vision_tokens`, image processor, tokenizer, copy to the
    device. The file is in memory: no disk, no download. Without opening where that is null."""
    open_image_ms: Amount | None = None
    """Of it, from the file's bytes to upright RGB pixels; null, as not measured, in rows of earlier
    versions."""
    vision_ms: Amount | None
    """T_vision."""
    projector_ms: Amount | None
    """T_projector."""
    prefill_ms: Amount | None
    """T_prefill, to the first token known."""
    decode_ms: Amount | None
    """T_decode, from the first to the last token known."""
    total_ms: Positive
    """T_total, by a clock of its own: inputs on the device to the last token known."""
    n_prompt_tokens: FromOne
    """Prompt tokens, visual tokens included."""
    n_output_tokens: FromOne
    """Tokens written, the end-of-sequence token included."""
    finish_reason: Literal["stop", "length"]
    """`length`: cut at the longest output."""
    output_text: str
    """What the model wrote."""
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
