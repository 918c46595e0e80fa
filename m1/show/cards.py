"""A request and its outputs for readers. All texts are made harmless, and cut if very long."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from m1.plain_text import plain
from m1.schemas.requests import Workload
from m1.schemas.results import ScoredAnswer
from m1.schemas.results.pareto import MOST
from m1.schemas.settings import KNOBS, Setting
from m1.show.chosen import ALL, Answered, Chosen

LONGEST_TEXT = 2000
MOST_REFERENCES = 20

TITLES: dict[Workload, str] = {"qa": "Question answering", "captioning": "Captioning"}
SCORES: dict[Workload, str] = {"qa": "VQA accuracy", "captioning": "CIDEr-D"}


@dataclass(frozen=True)
class Output:
    """What the model wrote at a setting."""

    setting: str
    quality: str
    text: str
    scored_text: str | None
    """The part of the output that was scored; `None` if the whole output was."""
    cut: bool
    """Whether the output was cut at the length limit."""


@dataclass(frozen=True)
class Card:
    """A request and its outputs."""

    request_id: str
    prompt: str
    references: tuple[str, ...]
    """Each reference once, with the number of times if there are several."""
    outputs: tuple[Output, ...]

    @classmethod
    def of(cls, one: Answered) -> "Card":
        """The card of a request."""
        return cls(
            request_id=readable(one.request.request_id),
            prompt=readable(one.request.prompt),
            references=tuple(_counted(one.request.references)),
            outputs=tuple(map(_output, one.answers)),
        )


def readable(text: str) -> str:
    """A text that is safe to show, and cut if it is very long."""
    left = len(text) - LONGEST_TEXT
    return plain(text[:LONGEST_TEXT]) + (f"... ({left:,} more characters)" if left > 0 else "")


def _counted(references: Sequence[str]) -> list[str]:
    """References, the most frequent first."""
    counts = Counter(references).most_common()
    told = [readable(text) + (f" ({n} times)" if n > 1 else "") for text, n in counts]
    left = len(told) - MOST_REFERENCES
    return told[:MOST_REFERENCES] + ([f"... and {left} more"] if left > 0 else [])


def _output(answer: ScoredAnswer) -> Output:
    text, scored = answer.output_text.strip(), answer.scored_text
    return Output(
        setting=Setting(**{knob: getattr(answer, knob) for knob in KNOBS}).label,
        quality=f"{answer.quality:.2f}",
        text=readable(text),
        scored_text=None if scored is None or scored == text else readable(scored),
        cut=answer.finish_reason == "length",
    )


def heading(chosen: Chosen) -> str:
    """A line with the number of requests, their order and their mean quality."""
    n_shown, order = len(chosen.answered), "best" if chosen.wanted.best_first else "worst"
    where = "over all settings" if chosen.setting == ALL else f"at {chosen.setting}"
    workload = chosen.outputs.workload
    return (
        f"{TITLES[workload]} {where}: {n_shown} of {chosen.n_requests} requests, {order} first; "
        f"mean {SCORES[workload]} {chosen.mean_quality:.3g} of {MOST[workload]:g}"
    )
