"""Quality of outputs: per request, and per setting for scores that need all outputs together."""

from collections.abc import Callable, Mapping

import pandas as pd
from pydantic import TypeAdapter

from m1.analysis.cells import labels_of
from m1.errors import UserError
from m1.files import plain_records
from m1.quality.answer_text import answer_text
from m1.quality.captions import CaptionCorpus, bleu4, rouge_l
from m1.quality.vqa import vqa_accuracy, vqa_ceiling
from m1.schemas.markup import Markup
from m1.schemas.requests import RequestSet, Workload
from m1.schemas.results import ScoredAnswer

QUALITY_METRICS: dict[Workload, str] = {"qa": "vqa_accuracy", "captioning": "cider_d"}


def score_rows(
    rows: pd.DataFrame, requests: RequestSet, markup: Markup | None = None
) -> pd.DataFrame:
    """Score every output by its own references.

    Args:
        rows: outputs of the workload, either timed or answered in batches.
        requests: the requests of the workload. Words of captions are weighted by the corpus that
            the requests carry, so a score does not depend on which requests were answered.
        markup: how the model marks parts of its outputs; with `None` whole outputs are scored.

    Returns:
        The rows with two more columns. `scored_text` is the part of the output that was scored.
        `quality` is VQA accuracy (0 to 1) or CIDEr-D (0 to 10).

    Raises:
        UserError: if a row's request is not among the requests, or the corpus is too small.
    """
    unknown = set(rows["request_id"]) - {request.request_id for request in requests.requests}
    if unknown:
        raise UserError(
            f"{requests.workload}: request {min(unknown)!r} was answered but is not in the request "
            f"set (and {len(unknown) - 1} more): answer the requests again (`dvc repro`)"
        )
    answers = (answer_text(text, markup or Markup()) for text in rows["output_text"])
    rows = rows.assign(scored_text=list(map(_of_workload(requests.workload), answers)))
    try:
        score = _scorer(requests)
        outputs = zip(rows["request_id"], rows["image_id"], rows["scored_text"], strict=True)
        return rows.assign(quality=[score(*output) for output in outputs])
    except (KeyError, ValueError) as error:
        raise UserError(f"{requests.workload}: outputs cannot be scored: {error.args[0]}") from None


def _of_workload(workload: Workload) -> Callable[[str], str]:
    return first_line if workload == "qa" else str.strip


def _scorer(requests: RequestSet) -> Callable[[str, str, str], float]:
    """A function from request id, image id and text to quality; an empty text has quality 0."""
    if requests.workload == "qa":
        references = _references(requests)
        return lambda request_id, _, text: (
            vqa_accuracy(text, references[request_id]) if text else 0.0
        )
    corpus = CaptionCorpus.from_references(requests.corpus)
    return lambda _, image_id, text: corpus.cider_d(image_id, text)


def first_line(text: str) -> str:
    """The answer in an output: its first line, stripped.

    Further lines explain the answer. If they were part of it, it would match no reference. A
    caption has no such lines: everything in it describes the picture.
    """
    return text.strip().partition("\n")[0].strip()


def best_accuracy(scores: pd.DataFrame, requests: RequestSet) -> float | None:
    """The largest mean quality that answers to the scored requests can have.

    Returns:
        VQA accuracy (0 to 1); `None` for captions, since their largest quality is not known.
    """
    if requests.workload != "qa":
        return None
    references = _references(requests)
    asked = scores["request_id"].unique()
    return sum(vqa_ceiling(references[request_id]) for request_id in asked) / len(asked)


def scored_answers(scores: pd.DataFrame) -> list[ScoredAnswer]:
    """The records of scored rows."""
    return TypeAdapter(list[ScoredAnswer]).validate_python(plain_records(scores))


def further_quality(scores: pd.DataFrame, requests: RequestSet) -> dict[str, dict[str, float]]:
    """Scores that exist only for many captions together.

    Args:
        scores: from `score_rows`.
        requests: the requests.

    Returns:
        Label of the setting to BLEU-4 and ROUGE-L (0 to 1); nothing for question answering.
    """
    if requests.workload == "qa":
        return {}
    references = _references(requests)
    groups = scores.assign(label=labels_of(scores)).groupby("label")
    captions = {
        str(label): dict(zip(g.request_id, g.scored_text, strict=True)) for label, g in groups
    }
    return {label: _corpus_scores(references, texts) for label, texts in captions.items()}


def _corpus_scores(
    references: Mapping[str, tuple[str, ...]], captions: Mapping[str, str]
) -> dict[str, float]:
    return {"bleu_4": bleu4(references, captions), "rouge_l": rouge_l(references, captions)}


def _references(requests: RequestSet) -> dict[str, tuple[str, ...]]:
    return {request.request_id: request.references for request in requests.requests}
