"""The rows of a profile run, one for each measured request."""

from typing import Literal

from m1.schemas.base import Record
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeMode

Stage = Literal["vision", "projector", "prefill", "decode"]
STAGES: tuple[Stage, ...] = ("vision", "projector", "prefill", "decode")


class MeasuredRequest(Record):
    """One request at one setting: asked, observed, timed, answered."""

    experiment: Literal["e1", "e2", "observer", "repeat"]
    """`e1` at the reference setting, `e2` over the grid, `observer` with and without marks,
    `repeat` the same requests in every trial."""
    order: int
    """Place in the order of measurement, from 0."""
    trial: int
    """Round over all cells, from 0; the unit of the bootstrap."""
    workload: Workload
    """Whose request."""
    request_id: str
    """Which request."""
    image_id: str
    """Its image."""
    vision_tokens: int | None
    """Setting asked for; null leaves the model as it is."""
    top_k: int | None
    """Setting asked for."""
    active_blocks: int | None
    """Setting asked for."""
    decode_mode: DecodeMode
    """When the output ends: `free` at an end-of-sequence token, `reference_length` at the length of
    the reference answer."""
    marked: bool
    """Whether stage boundaries were marked; the stage times are null where not."""
    planned_vision_tokens: int
    """Visual tokens the prompt has places for: those asked for, or the nearest possible."""
    observed_vision_tokens: int | None
    """Visual tokens that reached the language model; null in rows without marks."""
    observed_top_k: int | None
    """Experts that each token was routed to; null without marks or experts."""
    observed_active_blocks: int | None
    """Decoder blocks that ran; null in rows without marks."""
    preprocess_ms: float
    """Image processor, tokeniser and copy to the device; not part of `total_ms`."""
    vision_ms: float | None
    """T_vision."""
    projector_ms: float | None
    """T_projector."""
    prefill_ms: float | None
    """T_prefill, to the first token known."""
    decode_ms: float | None
    """T_decode, from the first to the last token known."""
    total_ms: float
    """T_total, by a clock of its own: inputs on the device to the last token known."""
    n_prompt_tokens: int
    """Prompt tokens, visual tokens included."""
    n_output_tokens: int
    """Tokens written, the end-of-sequence token included."""
    finish_reason: Literal["stop", "length"]
    """`length`: cut at the longest output."""
    output_text: str
    """What the model wrote."""
    peak_memory_mb: float | None
    """Peak device memory of the request on a GPU; peak resident memory so far on a CPU."""
