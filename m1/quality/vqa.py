"""Accuracy of a short answer compared with several people's answers, by the rule of VQA.

The metric is Antol et al. 2015, "VQA: Visual Question Answering" (arXiv:1505.00468), in the
leave-one-annotator-out form of VQA v2 (Goyal et al. 2017, arXiv:1612.00837). Answers are always
normalised, as in lmms-eval. The script that was published in 2017 does not normalise them if all
ten people agree. The normal form is for English.
"""

import re
from collections import Counter
from collections.abc import Sequence

MATCHES_FOR_FULL_MARKS = 3

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0"} | {word: str(value) for value, word in enumerate(_NUMBERS)}

# As in the published table. It leaves out contractions that are other words without an apostrophe
# (he'll, it's, we're), and never uses its own entries for i'm, i've and i'd've.
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't
    mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've
    should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've
    someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't
    what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's
    who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd
    you'd've you'll you're you've
"""


def _without_each_apostrophe(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i, letter in enumerate(word) if letter == "'"]


_MENDED = {slip: word for word in _CONTRACTIONS.split() for slip in _without_each_apostrophe(word)}
# The published table has this entry the wrong way round. It is kept, since scores depend on it.
_MENDED["somebody'd"] = "somebodyd"


def normalise_answer(text: str) -> str:
    """Return the answer in the form in which VQA compares answers.

    Lower case, single spaces, no punctuation, articles dropped, number words up to ten as digits,
    and contractions with one apostrophe missing completed (``dont`` gives ``don't``). A full stop
    stays before a digit (``2.5``). May be empty: ``normalise_answer("the")`` is ``""``.
    """
    words = _without_punctuation(" ".join(text.split())).lower().split()
    digits = (_DIGITS.get(word, word) for word in words)
    return " ".join(_MENDED.get(word, word) for word in digits if word not in _ARTICLES)


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """Return the accuracy of `answer`, from 0 (nobody gave it) to 1.

    Each annotator is left out once. The accuracy is the mean of ``min(matches / 3, 1)`` among the
    others. All answers are normalised, whether people agree or not. VQA v2 asks ten people: if
    four agree with the answer the accuracy is 1, with three it is 0.9. With two references the
    largest accuracy is 1/3, with three 2/3. A single reference is not left out: it scores 1.

    Raises:
        ValueError: if there are no references.
    """
    if not references:
        msg = "VQA accuracy needs at least one reference answer"
        raise ValueError(msg)
    if len(references) == 1:
        return float(_exact_form(answer) == _exact_form(references[0]))
    wanted = normalise_answer(answer)
    return _accuracy(sum(normalise_answer(r) == wanted for r in references), len(references))


def vqa_ceiling(references: Sequence[str]) -> float:
    """Return the accuracy of the best possible answer, from 0 to 1.

    Raises:
        ValueError: if there are no references.
    """
    if len(references) < 2:
        return vqa_accuracy("".join(references), references)
    ((_, most),) = Counter(map(normalise_answer, references)).most_common(1)
    return _accuracy(most, len(references))


def _accuracy(n_matches: int, n_references: int) -> float:
    """The mean accuracy if each person is left out once."""
    full = MATCHES_FOR_FULL_MARKS
    marks = (n_references - n_matches) * min(n_matches, full)
    if n_matches:
        marks += n_matches * min(n_matches - 1, full)
    return marks / (full * n_references)


def _exact_form(text: str) -> str:
    """The normal form; if it would be empty ("A" or "(A)." for the letter), another form."""
    one_line = " ".join(text.split())
    kept = normalise_answer(text) or " ".join(_without_punctuation(one_line).lower().split())
    return kept or one_line.lower()


def _without_punctuation(text: str) -> str:
    """Delete marks beside a space or a number with commas; replace others by a space."""
    delete_all = _COMMA_IN_NUMBER.search(text) is not None
    parted = text
    for mark in _MARKS:
        delete = delete_all or f"{mark} " in text or f" {mark}" in text
        parted = parted.replace(mark, "" if delete else " ")
    return _FULL_STOP.sub("", parted)
