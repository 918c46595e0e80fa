"""Parts of all figures: colours, sizes, the caption, the mark of an invalid run, PNG writing."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from m1.plain_text import plain
from m1.schemas.profile import Stage, Verdict
from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, Frontier, WorkloadContrast
from m1.schemas.results.estimates import PreprocessingPart
from m1.schemas.settings import Knob

# Okabe and Ito's palette, which colour-blind readers can distinguish. Hatches, markers and dashes
# show the same, for greyscale print.
STAGE_COLOURS: dict[Stage, str] = {
    "vision": "#56B4E9",
    "projector": "#F0E442",
    "prefill": "#009E73",
    "decode": "#CC79A7",
}
STAGE_HATCHES: dict[Stage, str] = {
    "vision": "////",
    "projector": "",
    "prefill": "....",
    "decode": "\\\\\\\\",
}
# Preprocessing is pale, since it is not a stage.
PREPROCESSING_COLOURS: dict[PreprocessingPart, str] = {
    "open image": "#E0E0E0",
    "processor": "#F4F4F4",
}
PREPROCESSING_HATCHES: dict[PreprocessingPart, str] = {"open image": "xxxx", "processor": "----"}
WORKLOAD_COLOURS: dict[Workload, str] = {"qa": "#0072B2", "captioning": "#D55E00"}
WORKLOAD_HATCHES: dict[Workload, str] = {"qa": "", "captioning": "////"}
WORKLOAD_MARKERS: dict[Workload, str] = {"qa": "o", "captioning": "s"}
WORKLOAD_DASHES: dict[Workload, str] = {"qa": "-", "captioning": "--"}
INVALID_COLOUR = "#A00000"
VERDICT_COLOURS: Mapping[Verdict, str] = {
    "valid": "black",
    "valid for ratios": "#7A5800",
    "invalid": INVALID_COLOUR,
}
VERDICT_TITLES: Mapping[Verdict, str] = {
    "valid": "Valid run",
    "valid for ratios": "VALID FOR RATIOS",
    "invalid": "INVALID RUN",
}

WORKLOAD_NAMES: dict[Workload, str] = {"qa": "Question answering", "captioning": "Captioning"}
KNOB_NAMES: dict[Knob, str] = {
    "vision_tokens": "Visual tokens",
    "top_k": "Experts per token (top_k)",
    "active_blocks": "Active decoder blocks",
}

WIDTH_IN = 7.1  # the text width of a two-column journal page
CAPTION_CHARACTERS = 140  # that fit on a line of the caption
CAPTION_LINE_IN = 0.14
TITLE_IN = 0.28
GAP_IN = 0.04
DPI = 200

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.parse_math": False,  # a dollar in the name of a model is a dollar
}
# Drawing and saving both need these settings, since ticks are made when they are first drawn.
# Neither changes matplotlib's global settings.
styled = rc_context(STYLE)


def new_figure(
    title: str, contrast: WorkloadContrast, sample: Mapping[Workload, str], body_in: float
) -> Figure:
    """An empty figure with title and caption, `body_in` inches high without the caption."""
    caption = _caption_of(contrast, sample)
    height = body_in + CAPTION_LINE_IN * (caption.count("\n") + 1)
    figure = Figure(figsize=(WIDTH_IN, height))
    FigureCanvasAgg(figure)
    reserve_top(figure, TITLE_IN)
    verdict = contrast.validity.verdict
    colour = VERDICT_COLOURS[verdict]
    heading = title if verdict == "valid" else f"{VERDICT_TITLES[verdict]} – {title}"
    figure.text(0.01, 1 - 0.06 / height, heading, va="top", size=9.5, weight="bold", color=colour)
    # The caption is the common x label, so the layout reserves room for it.
    figure.supxlabel(caption, x=0.01, ha="left", size=6.5, color=colour, linespacing=1.35)
    if verdict == "invalid":
        _mark_invalid(figure)
    return figure


def _mark_invalid(figure: Figure) -> None:
    """Write across the whole figure that the run is invalid, so that no crop hides it."""
    figure.text(
        0.5,
        0.5,
        "INVALID RUN",
        size=54,
        weight="bold",
        color=INVALID_COLOUR,
        alpha=0.13,
        rotation=20,
        ha="center",
        va="center",
    )


def _caption_of(contrast: WorkloadContrast, sample: Mapping[Workload, str]) -> str:
    """The caption: sample, model, device, arithmetic, reference, confidence and verdict."""
    run = contrast.provenance
    plural = "" if run.n_threads == 1 else "s"
    threads = f" ({run.n_threads} thread{plural})" if run.device_type == "cpu" else ""
    facts = (
        "; ".join(f"{WORKLOAD_NAMES[w]}: {sample[w]}" for w in WORKLOADS),
        f"{run.model_title} on {run.device}{threads}, {run.dtype}, {run.runtime}",
        f"Reference setting {contrast.reference.label} (visual tokens / top_k / blocks)",
        f"Intervals: {100 * contrast.confidence:g} %, {processes_of(contrast)}",
    )
    lines = (". ".join(facts) + ".", _verdict_sentence(contrast), *_exceptions_of(contrast))
    return "\n".join(
        textwrap.fill(plain(line), CAPTION_CHARACTERS, break_on_hyphens=False) for line in lines
    )


def processes_of(contrast: WorkloadContrast) -> str:
    """What the intervals rest on, in a few words."""
    n = contrast.n_processes
    return "of one process" if n == 1 else f"over {n} processes"


def samples_of(frontiers: Mapping[Workload, Frontier]) -> dict[Workload, str]:
    """The samples of each workload's frontier, for the caption."""
    return {
        w: f"n = {frontier.timed.n_requests} requests timed and "
        f"{frontier.scored.n_requests} scored at each setting"
        for w, frontier in frontiers.items()
    }


def _exceptions_of(contrast: WorkloadContrast) -> list[str]:
    """Sentences about interruptions and failed cells, if there were any."""
    resumed = contrast.provenance.resumed_at
    lines = [f"The run was interrupted, and resumed at {', '.join(resumed)}."] if resumed else []
    failed: dict[str, list[str]] = {}
    for cell in contrast.failed:
        kind = cell.reason.partition(":")[0]
        place = f"{cell.experiment.upper()} {WORKLOAD_NAMES[cell.workload].lower()}, {kind}"
        failed.setdefault(place, []).append(cell.place)
    return lines + [f"Not measured ({where}): {', '.join(of)}." for where, of in failed.items()]


def _verdict_sentence(contrast: WorkloadContrast) -> str:
    """Whether the run is valid, in a sentence."""
    validity = contrast.validity
    if validity.verdict == "valid":
        return f"{VERDICT_TITLES['valid']}: {validity.tally}."
    but = ", NOT FOR MILLISECONDS" if validity.verdict == "valid for ratios" else ""
    return f"{VERDICT_TITLES[validity.verdict]}{but}: " + "; ".join(validity.reasons)


def reserve_top(figure: Figure, strip_in: float) -> None:
    """Keep the panels below a strip at the top."""
    below = 1 - strip_in / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0.0, 0.0, 1.0, below))


def add_legend(figure: Figure, entries: Sequence[Artist], columns: int) -> None:
    """A legend between the title and the panels, as high as it needs to be."""
    below_title = 1 - TITLE_IN / figure.get_figheight()
    legend = figure.legend(
        handles=entries,
        loc="upper left",
        bbox_to_anchor=(0.01, below_title),
        ncols=columns,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.5,
    )
    reserve_top(figure, TITLE_IN + GAP_IN + legend.get_window_extent().height / figure.dpi)


def bracketed(estimate: Estimate, unit: str = "") -> str:
    """An estimate in three digits, such as "31.9 ms [31.2, 32.6]"."""
    digits = _decimals(estimate.value)
    interval = f"[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return f"{estimate.value:.{digits}f}{unit and f' {unit}'} {interval}".replace("-", "−")


def _decimals(value: float) -> int:
    """Decimals that show three digits of a number; at most two."""
    if value == 0:
        return 1
    return min(2, max(0, 2 - math.floor(math.log10(abs(value)))))


def whiskers(estimates: list[Estimate]) -> list[list[float]]:
    """The distances to both ends of the intervals, as matplotlib's error bars take them.

    An interval may not contain its estimate: all medians of resamples may be on one side of it.
    """
    below = [max(0.0, e.value - e.low) for e in estimates]
    above = [max(0.0, e.high - e.value) for e in estimates]
    return [below, above]


@styled
def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG without the library's version, so that equal drawings have equal bytes."""
    figure.set_dpi(DPI)
    # `savefig` would draw everything twice: once for the layout, and once into the file.
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(path, metadata={"Software": None})
