"""Scores of captions against several human captions: CIDEr-D, BLEU-4 and ROUGE-L.

All texts are raw. They are tokenised here in the same way as in the COCO caption evaluation, which
is for English. In a language without spaces, a whole clause would be one token, and scores would
mean nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge

from m1.quality.tokenise import tokenise_caption

Ngram = tuple[str, ...]
Tokenised = Mapping[str, list[str]]

LONGEST_NGRAM = 4
# Both are from the CIDEr paper: how strongly a wrong length lowers the score, and its scale.
LENGTH_SIGMA_TOKENS = 6.0
CIDER_SCALE = 10.0


@dataclass(frozen=True)
class _WeightedCaption:
    """A caption as one tf-idf vector for each n-gram length, with the Euclidean norm of each."""

    weights: list[dict[Ngram, float]]
    norms: list[float]
    length: int


@dataclass(frozen=True)
class CaptionCorpus:
    """The human captions of a whole dataset, and their document frequencies.

    CIDEr weights an n-gram by how rare it is among the images of the corpus. If weights came from
    the scored subset, small subsets would get higher scores. So the weights are computed once,
    here, and every score of an experiment uses the same corpus.
    """

    references: Mapping[str, tuple[str, ...]]
    """Image id to its human captions, tokenised."""
    document_frequency: Mapping[Ngram, int]
    """For each n-gram of 1 to 4 tokens, the number of images with captions that contain it."""

    @classmethod
    def from_references(cls, references: Mapping[str, Sequence[str]]) -> "CaptionCorpus":
        """Build the corpus from image id to raw human captions.

        Raises:
            ValueError: if there are fewer than two images (every weight would be 0), or an image
                has no caption.
        """
        if len(references) < 2:
            msg = f"CIDEr needs the captions of at least 2 images, got {len(references)}"
            raise ValueError(msg)
        tokenised = {i: tuple(_tokenise_references(i, references)) for i in references}
        per_image = (set(chain.from_iterable(map(_ngrams, t))) for t in tokenised.values())
        return cls(tokenised, Counter(chain.from_iterable(per_image)))

    def cider_d(self, image_id: str, caption: str) -> float:
        """Return the CIDEr-D of a raw caption, from 0 to 10.

        Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation"
        (arXiv:1411.5726), section 8, on the scale of the COCO evaluation. The COCO evaluation
        prints the mean over images as CIDEr; it is usually near 1 for a good model. The score of
        one image does not depend on which others are scored. A caption that is much longer than
        the references scores near 0, whatever its content.

        Raises:
            KeyError: if the image is not in the corpus.
        """
        if image_id not in self.references:
            msg = f"image {image_id!r} is not among the {len(self.references)} of the corpus"
            raise KeyError(msg)
        candidate = self._weigh(tokenise_caption(caption))
        references = self.references[image_id]
        similarities = [_similarity(candidate, self._weigh(text)) for text in references]
        return CIDER_SCALE * sum(similarities) / len(similarities)

    def _weigh(self, tokens: str) -> _WeightedCaption:
        weights: list[dict[Ngram, float]] = [{} for _ in range(LONGEST_NGRAM)]
        for ngram, count in Counter(_ngrams(tokens)).items():
            weights[len(ngram) - 1][ngram] = count * self._idf(ngram)
        norms = [math.hypot(*order.values()) for order in weights]
        return _WeightedCaption(weights, norms, len(tokens.split()))

    def _idf(self, ngram: Ngram) -> float:
        # An n-gram without a reference counts as if one image had it.
        return math.log(len(self.references) / max(1, self.document_frequency.get(ngram, 0)))


def bleu4(references: Mapping[str, Sequence[str]], captions: Mapping[str, str]) -> float:
    """Return the BLEU-4 of all captions together, from 0 to 1.

    Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation", as in
    the COCO evaluation: n-gram counts are summed over the corpus, and the brevity penalty
    compares with the reference closest in length. Images without a caption are not scored.

    Raises:
        KeyError: if a captioned image has no entry in `references`.
        ValueError: if there are no captions, or an image has no reference caption.
    """
    scores, _ = Bleu(4).compute_score(*_tokenise_pairs(references, captions), verbose=0)
    return float(scores[3])


def rouge_l(references: Mapping[str, Sequence[str]], captions: Mapping[str, str]) -> float:
    """Return the mean over images of ROUGE-L, from 0 to 1.

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", as in the COCO evaluation:
    the F-measure (beta 1.2) of the longest common subsequence, best precision and best recall
    over the references. Images without a caption are not scored.

    Raises:
        KeyError: if a captioned image has no entry in `references`.
        ValueError: if there are no captions, or an image has no reference caption.
    """
    score, _ = Rouge().compute_score(*_tokenise_pairs(references, captions))
    return float(score)


def without_weight(references: Mapping[str, Sequence[str]], image_ids: Iterable[str]) -> list[str]:
    """Find images about which no caption can have a CIDEr-D above 0.

    CIDEr gives more weight to an n-gram that few images have. If all images have every n-gram of
    an image, or its references have no words, the weights of this image are zero.

    Args:
        references: image id to raw human captions, of the whole corpus.
        image_ids: the images to look at.

    Returns:
        Those images, in the order given.
    """
    shared = {i: _said_of(references[i]) for i in image_ids}
    for texts in references.values():
        said = _said_of(texts)
        shared = {i: ngrams for i, ngrams in shared.items() if ngrams <= said}
        if not any(shared.values()):
            break  # the images that are left have no words
    return list(shared)


def _said_of(texts: Sequence[str]) -> set[Ngram]:
    """All n-grams of an image's captions."""
    return set(chain.from_iterable(map(_ngrams, map(tokenise_caption, texts))))


def _tokenise_pairs(
    references: Mapping[str, Sequence[str]], captions: Mapping[str, str]
) -> tuple[Tokenised, Tokenised]:
    if not captions:
        msg = "there are no captions to score"
        raise ValueError(msg)
    tokenised = {i: _tokenise_references(i, references) for i in captions}
    return tokenised, {i: [tokenise_caption(caption)] for i, caption in captions.items()}


def _tokenise_references(image_id: str, references: Mapping[str, Sequence[str]]) -> list[str]:
    if image_id not in references:
        msg = f"image {image_id!r} has a caption but no reference captions"
        raise KeyError(msg)
    if not references[image_id]:
        msg = f"image {image_id!r} has an empty list of reference captions"
        raise ValueError(msg)
    return [tokenise_caption(text) for text in references[image_id]]


def _ngrams(tokens: str) -> Iterator[Ngram]:
    words = tokens.split()
    for length in range(1, LONGEST_NGRAM + 1):
        yield from zip(*(words[start:] for start in range(length)), strict=False)


def _similarity(candidate: _WeightedCaption, reference: _WeightedCaption) -> float:
    """Return the mean cosine over n-gram lengths, with a penalty for a wrong length: 0 to 1."""
    difference = candidate.length - reference.length
    penalty = math.exp(-(difference**2) / (2 * LENGTH_SIGMA_TOKENS**2))
    cosines = (_clipped_cosine(candidate, reference, order) for order in range(LONGEST_NGRAM))
    return penalty * sum(cosines) / LONGEST_NGRAM


def _clipped_cosine(candidate: _WeightedCaption, reference: _WeightedCaption, order: int) -> float:
    """Return the cosine. Repeats beyond the reference's own count do not count."""
    theirs, ours = reference.weights[order], candidate.weights[order]
    # The sum is in the order of the caption. The order of a set would change from process to
    # process, and with it the rounding.
    shared = (ngram for ngram in ours if ngram in theirs)
    product = sum(min(ours[ngram], theirs[ngram]) * theirs[ngram] for ngram in shared)
    norm = reference.norms[order] * candidate.norms[order]
    return product / norm if norm else 0.0
