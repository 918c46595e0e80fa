"""Quality of outputs: per request, and per setting where a score needs all of them."""

from collections.abc import Callable, Mapping

import pandas as pd
from pydantic import TypeAdapter

from m1.analysis.cells import labels_of
from m1.errors import UserError
from m1.files import plain_records
from m1.quality.captions import CaptionCorpus, bleu4, rouge_l
from m1.quality.vqa import vqa_accuracy
from m1.schemas.requests import RequestSet, Workload
from m1.schemas.results import ScoredAnswer

QUALITY_METRICS: dict[Workload, str] = {"qa": "vqa_accuracy", "captioning": "cider_d"}


def score_rows(rows: pd.DataFrame, requests: RequestSet) -> pd.DataFrame:
    """Score every output by its own references.

    Args:
        rows: outputs of the workload, whether timed or answered in batches.
        requests: its requests; captions are weighed by the corpus they carry, so that a score
            does not depend on which requests were answered.

    Returns:
        The rows with a column `quality`: VQA accuracy (0 to 1) or CIDEr-D (0 to 10).

    Raises:
        UserError: if a row's request is not among the requests, or the corpus is too small.
    """
    unknown = set(rows["request_id"]) - {request.request_id for request in requests.requests}
    if unknown:
        raise UserError(
            f"{requests.workload}: request {min(unknown)!r} was answered but is not in the request "
            f"set (and {len(unknown) - 1} more): answer again (`dvc repro`)"
        )
    try:
        score = _scorer(requests)
        outputs = zip(rows["request_id"], rows["image_id"], rows["output_text"], strict=True)
        return rows.assign(quality=[score(*output) for output in outputs])
    except (KeyError, ValueError) as error:
        raise UserError(f"{requests.workload}: outputs cannot be scored: {error.args[0]}") from None


def _scorer(requests: RequestSet) -> Callable[[str, str, str], float]:
    """A function from request id, image id and output to quality."""
    if requests.workload == "qa":
        references = _references(requests)
        return lambda request_id, _, text: vqa_accuracy(first_line(text), references[request_id])
    corpus = CaptionCorpus.from_references(requests.corpus)
    return lambda _, image_id, text: corpus.cider_d(image_id, text.strip())


def first_line(text: str) -> str:
    """The answer in an output: its first line, stripped.

    What a model adds on further lines explains the answer; as a part of it, it would match nobody's
    words. A caption has no such part: all that is written describes the picture.
    """
    return text.strip().partition("\n")[0].strip()


def scored_answers(scores: pd.DataFrame) -> list[ScoredAnswer]:
    """The records of scored rows."""
    return TypeAdapter(list[ScoredAnswer]).validate_python(plain_records(scores))


def further_quality(scores: pd.DataFrame, requests: RequestSet) -> dict[str, dict[str, float]]:
    """Scores that exist only for many captions together.

    Returns:
        Label of the setting to BLEU-4 and ROUGE-L (0 to 1); nothing for question answering.
    """
    if requests.workload == "qa":
        return {}
    references = _references(requests)
    groups = scores.assign(label=labels_of(scores)).groupby("label")
    captions = {
        str(label): dict(zip(g.request_id, g.output_text, strict=True)) for label, g in groups
    }
    return {label: _corpus_scores(references, texts) for label, texts in captions.items()}


def _corpus_scores(
    references: Mapping[str, tuple[str, ...]], captions: Mapping[str, str]
) -> dict[str, float]:
    return {"bleu_4": bleu4(references, captions), "rouge_l": rouge_l(references, captions)}


def _references(requests: RequestSet) -> dict[str, tuple[str, ...]]:
    return {request.request_id: request.references for request in requests.requests}
