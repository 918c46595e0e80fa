import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pycocoevalcap.cider.cider import Cider
from reference_cases import EXCERPTS, Cases, captions_by_image

from m1.quality.captions import CaptionCorpus, bleu4, rouge_l, without_weight
from m1.quality.tokenise import tokenise_caption


@dataclass(frozen=True)
class Case:
    """Raw captions, their official tokens, and their scores by the official code."""

    references: dict[str, list[str]]
    captions: dict[str, str]
    reference_tokens: dict[str, list[str]]
    caption_tokens: dict[str, str]
    cider_d_mean: float
    bleu4: float
    rouge_l: float


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read(cases: Cases) -> Case:
    tokens = read_json(cases.caption_tokens)
    return Case(
        references=captions_by_image(cases),
        captions={
            str(entry["image_id"]): entry["caption"] for entry in read_json(cases.caption_results)
        },
        reference_tokens=tokens["gts"],
        caption_tokens={i: only for i, (only,) in tokens["res"].items()},
        cider_d_mean=cases.cider_d_mean,
        bleu4=cases.bleu4,
        rouge_l=cases.rouge_l,
    )


@pytest.fixture(scope="module")
def excerpt() -> Case:
    return read(EXCERPTS)


@pytest.fixture(scope="module")
def case(cases: Cases) -> Case:
    return read(cases)


def official_cider_d(case: Case) -> dict[str, float]:
    captions = {i: [tokens] for i, tokens in case.caption_tokens.items()}
    references = {i: case.reference_tokens[i] for i in captions}
    _, scores = Cider().compute_score(references, captions)
    return dict(zip(captions, map(float, scores), strict=True))


def test_every_reference_has_the_official_tokens(case: Case) -> None:
    ours = {i: list(map(tokenise_caption, texts)) for i, texts in case.references.items()}
    assert ours == case.reference_tokens


def test_every_caption_has_the_official_tokens(case: Case) -> None:
    ours = {i: tokenise_caption(text) for i, text in case.captions.items()}
    assert ours == case.caption_tokens


# Each line was given to the Stanford tokeniser 3.4.1, and its punctuation tokens dropped.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("They're sure he'd've won't.", "they 're sure he 'd 've wo n't"),
        ("He cannot; he's gonna.", "he can not he 's gon na"),
        ("The boys' toys, the men\u2019s “red” hats", "the boys toys the men 's red hats"),
        ("rock 'n' roll at 5 o'clock, O'Neil!", "rock 'n' roll at 5 o'clock o'neil"),
        ("a 1980's sign and an '80s sign", "a 1980 's sign and an '80s sign"),
        (
            "A man (in red) with [1] {a}",
            "a man -lrb- in red -rrb- with -lsb- 1 -rsb- -lcb- a -rcb-",
        ),
        ("5:55 pm, 3/4 cup, 10,000 at 3.5 -5", "5:55 pm 3/4 cup 10,000 at 3.5 -5"),
        ("$5 & 50% w/ #25 @ a*b", "$ 5 & 50 % w / # 25 @ a * b"),
        ("A T-shirt and/or black-and-white R&B", "a t-shirt and/or black-and-white r&b"),
        ("Mr. Jones of St. Mary's on 5th Ave.", "mr. jones of st. mary 's on 5th ave."),
        ("the U.S. The vitamin C. The vitamin C.", "the u.s. the vitamin c the vitamin c."),
        ("no. dog. no. 5, ill. mass.", "no dog no. 5 ill mass"),
        ("to bat., etc... -- so… what?!", "to bat. etc. so what ?!"),
        ("cat.dog standing.The a_b", "cat.dog standing.the a_b"),
        ("see www.flickr.com. or https://a.b/c?d=e.", "see www.flickr.com or https://a.b/c?d=e"),
        ("**Bold** 😀 café", "** bold ** café"),
        ("A cat\n sits.", "a cat sits"),
        (" . ", ""),
        ("", ""),
    ],
)
def test_a_text_is_split_as_the_stanford_tokeniser_does(text: str, tokens: str) -> None:
    assert tokenise_caption(text) == tokens


# The lexer's rule for fractions takes a whole number before one with it, and writes its space as
# one that does not break; no caption of the example set has one.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A 22 3/4 inch board.", "a 22\u00a03/4 inch board"),
        ("2 1/2-inch", "2\u00a01/2 inch"),
        ("1 1/2", "1\u00a01/2"),
        ("12345 3/4, 1/2 3/4", "12345 3/4 1/2 3/4"),
        ("3.5 1/2 and 5-3/4", "3.5 1/2 and 5-3/4"),
        ("2  1/2", "2 1/2"),
    ],
)
def test_a_mixed_number_is_one_token(text: str, tokens: str) -> None:
    assert tokenise_caption(text) == tokens


def test_a_mixed_number_counts_as_one_word_in_rouge_l_alone() -> None:
    references, mixed = {"1": ["a 22 3/4 inch board"]}, {"1": "a 22 inch board"}
    # Of the caption's four words and the reference's four, three are common; not four of five.
    assert rouge_l(references, mixed) == pytest.approx(3 / 4)
    corpus = CaptionCorpus.from_references(references | {"2": ["a dog"]})
    assert ("22",) in corpus.document_frequency


def test_images_about_which_no_caption_can_score_are_found(excerpt: Case) -> None:
    assert without_weight(excerpt.references, excerpt.references) == []
    same = {"1": ["a dog"], "2": ["A dog!"]}
    assert without_weight(same, same) == ["1", "2"]
    some = {"1": ["a dog"], "2": ["a dog", "a cat"], "3": ["...", ""], "4": ["a dog on a mat"]}
    assert without_weight(some, ["4", "3", "2", "1"]) == ["3"]
    del some["3"]
    assert without_weight(some, some) == ["1"]
    corpus = CaptionCorpus.from_references(some)
    assert corpus.cider_d("1", "a dog") == 0.0 < corpus.cider_d("2", "a cat")


def cider_d_scores(corpus: CaptionCorpus, captions: dict[str, str]) -> dict[str, float]:
    return {image_id: corpus.cider_d(image_id, caption) for image_id, caption in captions.items()}


def test_every_image_scores_the_cider_d_of_the_official_code(case: Case) -> None:
    scores = cider_d_scores(CaptionCorpus.from_references(case.references), case.captions)
    assert scores == pytest.approx(official_cider_d(case), abs=1e-6)


def test_the_mean_cider_d_is_the_known_one(case: Case) -> None:
    scores = cider_d_scores(CaptionCorpus.from_references(case.references), case.captions)
    assert sum(scores.values()) / len(scores) == pytest.approx(case.cider_d_mean, abs=1e-6)


def test_bleu_4_is_the_known_one(case: Case) -> None:
    assert bleu4(case.references, case.captions) == pytest.approx(case.bleu4, abs=1e-6)


def test_rouge_l_is_the_known_one(case: Case) -> None:
    assert rouge_l(case.references, case.captions) == pytest.approx(case.rouge_l, abs=1e-6)


def test_cider_d_of_an_image_does_not_depend_on_which_others_are_scored(excerpt: Case) -> None:
    corpus = CaptionCorpus.from_references(excerpt.references)
    whole = cider_d_scores(corpus, excerpt.captions)
    some = dict(list(excerpt.captions.items())[::-3])
    assert cider_d_scores(corpus, some) == {i: whole[i] for i in some}


def test_own_document_frequencies_would_raise_scores_of_a_subset(case: Case) -> None:
    some = dict(list(case.captions.items())[: len(case.captions) // 10])
    own = CaptionCorpus.from_references({i: case.references[i] for i in some})
    fixed = CaptionCorpus.from_references(case.references)
    gain = sum(cider_d_scores(own, some).values()) - sum(cider_d_scores(fixed, some).values())
    assert gain / len(some) > 0.02


def test_capitals_and_punctuation_of_a_caption_do_not_change_cider_d(excerpt: Case) -> None:
    corpus = CaptionCorpus.from_references(excerpt.references)
    image_id, caption = next(iter(excerpt.captions.items()))
    shouted = f'"{caption.upper()}!"'
    assert corpus.cider_d(image_id, shouted) == corpus.cider_d(image_id, caption) > 0


def test_repeating_a_phrase_or_writing_too_much_lowers_cider_d(excerpt: Case) -> None:
    corpus = CaptionCorpus.from_references(excerpt.references)
    image_id, texts = next(iter(excerpt.references.items()))
    exact = corpus.cider_d(image_id, texts[0])
    assert exact > corpus.cider_d(image_id, f"{texts[0]} {texts[0]}")
    assert corpus.cider_d(image_id, " ".join([texts[0]] * 10)) < 0.01
    assert corpus.cider_d(image_id, "") == 0.0


def test_only_captioned_images_count(excerpt: Case) -> None:
    some = dict(list(excerpt.captions.items())[:5])
    own = {i: excerpt.references[i] for i in some}
    assert bleu4(excerpt.references, some) == bleu4(own, some)
    assert rouge_l(excerpt.references, some) == rouge_l(own, some)


def test_an_empty_caption_scores_zero() -> None:
    assert bleu4({"1": ["a dog"]}, {"1": ""}) == 0.0
    assert rouge_l({"1": ["a dog"]}, {"1": "..."}) == 0.0


def test_scoring_prints_nothing(excerpt: Case, capsys: pytest.CaptureFixture[str]) -> None:
    bleu4(excerpt.references, excerpt.captions)
    rouge_l(excerpt.references, excerpt.captions)
    assert capsys.readouterr() == ("", "")


def test_an_image_outside_the_corpus_is_an_error(excerpt: Case) -> None:
    with pytest.raises(KeyError, match="'absent' is not among"):
        CaptionCorpus.from_references(excerpt.references).cider_d("absent", "a dog")


def test_a_corpus_of_one_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        CaptionCorpus.from_references({"1": ["a dog"]})


def test_an_image_without_references_is_an_error() -> None:
    with pytest.raises(ValueError, match="'2' has an empty list"):
        CaptionCorpus.from_references({"1": ["a dog"], "2": []})


@pytest.mark.parametrize("score", [bleu4, rouge_l])
def test_captions_that_cannot_be_scored_are_an_error(score: Any) -> None:
    with pytest.raises(ValueError, match="no captions"):
        score({"1": ["a dog"]}, {})
    with pytest.raises(KeyError, match="'2' has a caption but no reference"):
        score({"1": ["a dog"]}, {"2": "a cat"})


def test_scoring_needs_no_torch() -> None:
    program = "import sys, m1.quality.captions, m1.quality.vqa; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
