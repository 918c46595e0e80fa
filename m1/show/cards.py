"""A request and its outputs as readers see them: texts of any content, made harmless and cut."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from m1.schemas.requests import Workload
from m1.schemas.results import ScoredAnswer
from m1.schemas.results.pareto import MOST
from m1.schemas.settings import KNOBS, Setting
from m1.show.chosen import ALL, Answered, Chosen

LONGEST_TEXT = 2000
MOST_REFERENCES = 20
# No letters, but words of some languages and many emoji are not the same without these.
KEPT = "\n\u200c\u200d\u00a0\u3000"

TITLES: dict[Workload, str] = {"qa": "Question answering", "captioning": "Captioning"}
SCORES: dict[Workload, str] = {"qa": "VQA accuracy", "captioning": "CIDEr-D"}


@dataclass(frozen=True)
class Output:
    """What the model wrote at a setting."""

    setting: str
    quality: str
    text: str
    scored_text: str | None
    """What of it was scored; nothing where that is all of it."""
    cut: bool
    """Whether the model was stopped at the longest output."""


@dataclass(frozen=True)
class Card:
    """A request and its outputs."""

    request_id: str
    prompt: str
    references: tuple[str, ...]
    """Each once, with its number where it is there more often."""
    outputs: tuple[Output, ...]

    @classmethod
    def of(cls, one: Answered) -> "Card":
        """The card of a request."""
        return cls(
            request_id=plain(one.request.request_id),
            prompt=plain(one.request.prompt),
            references=tuple(_counted(one.request.references)),
            outputs=tuple(map(_output, one.answers)),
        )


def plain(text: str) -> str:
    """A text as one can look at it: what controls a terminal or turns lines around is escaped."""
    cut = text[:LONGEST_TEXT]
    safe = "".join(c if c.isprintable() or c in KEPT else _escaped(c) for c in cut)
    left = len(text) - len(cut)
    return safe + (f"... ({left:,} more characters)" if left else "")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _counted(references: Sequence[str]) -> list[str]:
    """References, the most frequent first."""
    counts = Counter(references).most_common()
    told = [plain(text) + (f" ({n} times)" if n > 1 else "") for text, n in counts]
    left = len(told) - MOST_REFERENCES
    return told[:MOST_REFERENCES] + ([f"... and {left} more"] if left > 0 else [])


def _output(answer: ScoredAnswer) -> Output:
    text, scored = answer.output_text.strip(), answer.scored_text
    return Output(
        setting=Setting(**{knob: getattr(answer, knob) for knob in KNOBS}).label,
        quality=f"{answer.quality:.2f}",
        text=plain(text),
        scored_text=None if scored is None or scored == text else plain(scored),
        cut=answer.finish_reason == "length",
    )


def heading(chosen: Chosen) -> str:
    """How many requests of how many, in which order, and what is usual, in a line."""
    n_shown, order = len(chosen.answered), "best" if chosen.wanted.best_first else "worst"
    where = "over all settings" if chosen.setting == ALL else f"at {chosen.setting}"
    workload = chosen.outputs.workload
    return (
        f"{TITLES[workload]} {where}: {n_shown} of {chosen.n_requests} requests, {order} first; "
        f"mean {SCORES[workload]} {chosen.mean_quality:.3g} of {MOST[workload]:g}"
    )
