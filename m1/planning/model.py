"""Check requests and knobs with a model that is loaded without its weights."""

from collections import Counter
from collections.abc import Mapping, Sequence

from m1.errors import Problems
from m1.params import KnobParams, ModelParams
from m1.planning.limits import knob_limits
from m1.schemas.plan import DrawnRequests, KnobLimits
from m1.schemas.requests import Workload
from m1.schemas.settings import DecodeModeChoice, decode_passes
from m1.vlm.end_tokens import refuse_endless
from m1.vlm.knobs.check import check_knobs
from m1.vlm.loading.outline import check_size, outline
from m1.vlm.loading.watched import refuse_unwatched
from m1.vlm.model import LoadedVlm
from m1.vlm.pictures import Picture
from m1.vlm.processing import RefusedError
from m1.vlm.prompts import check_prompts
from m1.vlm.visual_plans import plan_visual_tokens

# If no image is known, knobs are tried on an image of a usual size.
USUAL_SIZE = (336, 336)


def outlined(params: ModelParams, problems: Problems) -> LoadedVlm | None:
    """The model without its weights; `None` if it cannot be measured."""
    with problems.noted():
        refuse_unwatched(params)
    with problems.noted():
        check_size(params)
    with problems.noted():
        return outline(params)
    return None


def check_fit(
    vlm: LoadedVlm,
    knobs: KnobParams,
    decode_mode: DecodeModeChoice,
    drawn: Mapping[Workload, DrawnRequests],
    pictures: Sequence[Picture],
    problems: Problems,
) -> KnobLimits | None:
    """Check requests and knobs with a model.

    Args:
        vlm: the model.
        knobs: the grid.
        decode_mode: when outputs end.
        drawn: the requests of each workload, if they could be drawn.
        pictures: all pictures that will be measured.
        problems: gets a line for each mistake.

    Returns:
        The possible values of the knobs, for the most common size of image that the model accepts.
    """
    if "free" in decode_passes(decode_mode):
        with problems.noted():
            refuse_endless(vlm.end_tokens)
    with problems.noted():
        check_prompts(vlm.prompts, {w: sample.requests for w, sample in drawn.items()})
    grid = knobs.grid()
    pictures = pictures or [Picture("a picture", USUAL_SIZE)]
    with problems.noted():
        check_knobs(vlm, grid, pictures)
    for size, _ in Counter(picture.size for picture in pictures).most_common():
        try:
            plan_visual_tokens(vlm, size, None)
        except RefusedError:  # reported above
            continue
        return knob_limits(vlm, grid, size)
    return None


def not_checked(vlm: LoadedVlm) -> tuple[str, ...]:
    """What only loading the weights can show."""
    if not any(parameter.is_meta for parameter in vlm.model.parameters()):
        return ()
    return (
        "whether its weights are whole and fit its configuration",
        "whether each of its stages runs on a request",
        "whether this device has the library that model.attention and model.runtime need",
    )
