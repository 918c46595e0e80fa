import json
from pathlib import Path
from typing import Any

import pytest

from m1.quality.vqa import normalise_answer, vqa_accuracy

EXCERPT = Path(__file__).parent / "data" / "quality" / "vqa_excerpt.json"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "cases" / "vqa_v2"


@pytest.fixture(scope="module")
def excerpt() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(EXCERPT.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def annotations() -> list[dict[str, Any]]:
    path = SHARED / "v2_mscoco_train2014_annotations_400.json"
    if not path.exists():
        pytest.skip(f"the VQA v2 reference cases are not at {path}")
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    return loaded


def mean_percent(answers: list[str], references: list[list[str]]) -> float:
    pairs = zip(answers, references, strict=True)
    return 100 * sum(vqa_accuracy(*pair) for pair in pairs) / len(answers)


def ten_people(matching: int) -> list[str]:
    return ["dog"] * matching + [f"other {i}" for i in range(10 - matching)]


@pytest.mark.parametrize(
    ("matching", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)]
)
def test_each_person_is_left_out_in_turn(matching: int, expected: float) -> None:
    assert vqa_accuracy("dog", ten_people(matching)) == pytest.approx(expected)


def test_both_sides_are_normalised() -> None:
    assert vqa_accuracy("The Dog.", ten_people(10)) == 1.0
    assert vqa_accuracy("dog", ["A dog!"] * 10) == 1.0


def test_full_marks_are_out_of_reach_with_three_references() -> None:
    assert vqa_accuracy("dog", ["dog"] * 3) == pytest.approx(2 / 3)


def test_an_answer_without_references_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        vqa_accuracy("dog", [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Two\n dogs\t", "2 dogs"),
        ("the man on a horse", "man on horse"),
        ("None", "0"),
        ("eleven", "eleven"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("Im", "im"),
        ("somebody'd", "somebodyd"),
        ("Yes.", "yes"),
        ("2.5 ft.", "2.5 ft"),
        ("5 p.m.", "5 pm"),
        ("black,white", "black white"),
        ("black, white", "black white"),
        ("t-shirt", "t shirt"),
        ("10,000 feet", "10000 feet"),
        ("10,000 t-shirts", "10000 tshirts"),
        ("t-shirt - red/blue", "tshirt red blue"),
        ("t-shirt -red", "tshirt red"),
        ("dog's", "dog's"),
        ("5:30", "5:30"),
        ("the", ""),
        ("", ""),
    ],
)
def test_an_answer_is_normalised_as_vqa_does(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


@pytest.mark.parametrize("prediction", ["first", "tenth", "multiple_choice"])
def test_real_answers_of_the_excerpt_score_as_published(
    excerpt: dict[str, Any], prediction: str
) -> None:
    references = list(excerpt["answers"].values())
    answers = {
        "first": [people[0] for people in references],
        "tenth": [people[9] for people in references],
        "multiple_choice": list(excerpt["multiple_choice"].values()),
    }
    expected = excerpt["accuracy_percent"][prediction]
    assert mean_percent(answers[prediction], references) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("person", "expected"), [(0, 88.125), (9, 88.225)])
def test_one_person_scores_as_published_on_400_questions(
    annotations: list[dict[str, Any]], person: int, expected: float
) -> None:
    references = [[entry["answer"] for entry in each["answers"]] for each in annotations]
    answers = [people[person] for people in references]
    assert mean_percent(answers, references) == pytest.approx(expected, abs=1e-3)


def test_the_multiple_choice_answers_score_as_published_on_400_questions(
    annotations: list[dict[str, Any]],
) -> None:
    references = [[entry["answer"] for entry in each["answers"]] for each in annotations]
    answers = [each["multiple_choice_answer"] for each in annotations]
    assert mean_percent(answers, references) == pytest.approx(96.325, abs=1e-3)
