"""Check that outputs can be scored with the references, when requests are prepared."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain

from m1.errors import UserError
from m1.quality.captions import without_weight
from m1.quality.vqa import vqa_ceiling
from m1.schemas.requests import Request, RequestSet, Workload
from m1.workloads.dataset import Corpus

# With this number of references or more, a request can reach the full score.
ENOUGH_REFERENCES = 4


def check_scorable(workload: Workload, requests: Sequence[Request], corpus: Corpus) -> None:
    """Check that captions can score above 0.

    Raises:
        UserError: if CIDEr-D would be 0 for every caption.
    """
    if workload == "qa":
        return
    if len(corpus) < 2:
        raise UserError(
            "captioning: CIDEr weighs words by how few images they are said of, and the references "
            f"are about {len(corpus)} image: give captions of two images or more"
        )
    images = _images(requests)
    if len(without_weight(corpus, images)) == len(images):
        raise UserError(
            "captioning: no caption can score in CIDEr, for the references hold no words, or the "
            "same ones for every image: give captions that tell the images apart"
        )


def notes_on_scores(prepared: RequestSet) -> Iterator[str]:
    """Notes on the scores that these requests can get, each as a line."""
    if prepared.workload == "qa":
        yield from _notes_on_accuracy(prepared.requests)
    else:
        yield from _notes_on_captions(prepared)


def _notes_on_accuracy(requests: Sequence[Request]) -> Iterator[str]:
    few = sum(1 < len(request.references) < ENOUGH_REFERENCES for request in requests)
    if few:
        best = sum(vqa_ceiling(request.references) for request in requests) / len(requests)
        yield (
            f"{few} of {len(requests)} requests have two or three references, of which VQA leaves "
            f"one out: the best answers to all requests have a mean accuracy of {best:.3g}"
        )


def _notes_on_captions(prepared: RequestSet) -> Iterator[str]:
    images = _images(prepared.requests)
    if weightless := without_weight(prepared.corpus, images):
        yield (
            f"{len(weightless)} of {len(images)} images score 0 whatever is said, for their "
            f"references hold no words, or none of their own: {weightless[0]} is the first"
        )
    letters = filter(str.isalpha, chain.from_iterable(_references(prepared.requests)))
    latin = ["LATIN" in unicodedata.name(letter, "") for letter in letters]
    if sum(latin) < len(latin) / 2:
        yield (
            "most references are not in Latin letters: CIDEr-D, BLEU-4 and ROUGE-L split captions "
            "into words as one does in English, so their scores mean little here"
        )


def _images(requests: Sequence[Request]) -> list[str]:
    return list(dict.fromkeys(request.image_id for request in requests))


def _references(requests: Sequence[Request]) -> Iterator[str]:
    return chain.from_iterable(request.references for request in requests)
