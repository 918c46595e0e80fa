"""Measure one request at the setting of its round."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from PIL import Image

from m1.prepared import PreparedRequests
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.clocks import Stopwatch, clock_for
from m1.profiling.timing.marks import (
    LAST_TOKEN,
    START,
    Observed,
    by_stage,
    mark_first_token,
    marked,
)
from m1.profiling.timing.standstill import Elapsed
from m1.schemas.profile import MeasuredRequest, Stage
from m1.schemas.requests import Request
from m1.schemas.settings import DecodeMode
from m1.vlm.at_setting import AtSetting
from m1.vlm.engine import Generation, answer, text_of, token_ids
from m1.vlm.model import LoadedVlm
from m1.vlm.processing import count_visual_tokens
from m1.vlm.visual_plans import plan_visual_tokens

KB_PER_MB = 1024
BYTES_PER_MB = 1024**2

Inputs = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Timed:
    """One answered request with its times."""

    generation: Generation
    elapsed: Elapsed
    stages: dict[Stage, float] | None
    observed: Observed | None


@dataclass(frozen=True)
class Attempt:
    """A measured request, with the times that show whether it was interrupted."""

    row: MeasuredRequest
    preprocessing: Elapsed
    """Time of opening the image and making the inputs."""
    answering: Elapsed


@dataclass(frozen=True)
class OutputLimit:
    """When an output ends."""

    mode: DecodeMode
    """Whether outputs end at an end-of-sequence token, or at the length of the reference."""
    max_new_tokens: int
    """Longest output in either mode."""

    def of(self, vlm: LoadedVlm, request: Request) -> int:
        """The largest number of tokens in a request's output."""
        if self.mode == "free":
            return self.max_new_tokens
        return min(self.max_new_tokens, reference_length(vlm, request.references))


def reference_length(vlm: LoadedVlm, references: Sequence[str]) -> int:
    """Tokens of a typical reference (the median), the end-of-sequence token included."""
    lengths = [len(token_ids(vlm, text)) for text in references]
    return max(1, round(median(lengths))) + 1


def measure(
    vlm: LoadedVlm, planned: Planned, of: Round, prepared: PreparedRequests, limit: OutputLimit
) -> Attempt:
    """Measure one request at the setting of its round.

    Raises:
        NotFiniteError: if the output comes from logits that are not finite.
        UserError: if the model's stages cannot be separated.
    """
    request = planned.request
    at = AtSetting(vlm, of.setting)
    image, opening = opened(vlm, request, prepared)
    inputs, encoding = encoded(at, request, image)
    if vlm.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(vlm.device)
    run = timed_with_marks if planned.marked else timed_alone
    with at.turned():
        timed = run(vlm, inputs, limit.of(vlm, request), limit.mode == "free")
    timed.generation.check_finite(vlm)
    stages, observed = timed.stages, timed.observed
    row = MeasuredRequest(
        experiment=of.experiment,
        order=planned.order,
        trial=of.trial,
        process=of.process,
        workload=of.workload,
        request_id=request.request_id,
        image_id=request.image_id,
        **of.setting.model_dump(),
        decode_mode=of.decode_mode,
        marked=planned.marked,
        planned_vision_tokens=count_visual_tokens(vlm, inputs),
        observed_vision_tokens=observed.n_visual_tokens if observed else None,
        observed_top_k=observed.top_k if observed else None,
        observed_active_blocks=observed.n_blocks if observed else None,
        preprocess_ms=(opening + encoding).ms,
        open_image_ms=opening.ms,
        vision_ms=stages["vision"] if stages else None,
        projector_ms=stages["projector"] if stages else None,
        prefill_ms=stages["prefill"] if stages else None,
        decode_ms=stages["decode"] if stages else None,
        total_ms=timed.elapsed.ms,
        n_prompt_tokens=int(inputs["input_ids"].shape[1]),
        n_output_tokens=len(timed.generation.tokens),
        finish_reason=timed.generation.finish_reason,
        output_text=text_of(vlm, timed.generation),
        peak_memory_mb=peak_memory_mb(vlm.device),
    )
    return Attempt(row, opening + encoding, timed.elapsed)


def opened(
    vlm: LoadedVlm, request: Request, prepared: PreparedRequests
) -> tuple[Image.Image, Elapsed]:
    """A request's image in RGB, and the time of opening its file.

    All files were read before, when the grid was checked with the sizes of their images. So they
    are usually in the system's memory: decoding is measured, not the disk.
    """
    stopwatch = Stopwatch(vlm.device)
    image = prepared.open_image(request)
    return image, stopwatch.stop()


def encoded(at: AtSetting, request: Request, image: Image.Image) -> tuple[Inputs, Elapsed]:
    """A request's inputs on the device, and the time of making them from its image."""
    # This is found once for each size of image, so it does not count as preprocessing.
    plan_visual_tokens(at.vlm, image.size, at.setting.vision_tokens)
    stopwatch = Stopwatch(at.vlm.device)
    inputs = at.encode(image, request.prompt)
    return inputs, stopwatch.stop()


def timed_with_marks(
    vlm: LoadedVlm, inputs: Inputs, max_new_tokens: int, stops_at_end: bool = True
) -> Timed:
    """Answer with marks at the stage boundaries."""
    clock = clock_for(vlm.device)
    with marked(vlm.structure, clock) as observed:
        stopwatch = Stopwatch(vlm.device)
        clock.mark(START)
        generation = answer(
            vlm,
            inputs,
            max_new_tokens,
            partial(mark_first_token, clock, observed),
            stops_at_end=stops_at_end,
        )
        clock.mark(LAST_TOKEN)
        elapsed = stopwatch.stop()
    stages = by_stage(clock.marks_ms(), type(vlm.model).__name__)
    return Timed(generation, elapsed, stages, observed)


def timed_alone(
    vlm: LoadedVlm, inputs: Inputs, max_new_tokens: int, stops_at_end: bool = True
) -> Timed:
    """Answer without any hook or mark."""
    stopwatch = Stopwatch(vlm.device)
    generation = answer(vlm, inputs, max_new_tokens, stops_at_end=stops_at_end)
    return Timed(generation, stopwatch.stop(), None, None)


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory: of the request on a GPU, of the process so far on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / BYTES_PER_MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KB_PER_MB
