import json

import pytest
from reference_cases import Cases, answers_of_people

from m1.quality.vqa import normalise_answer, vqa_accuracy, vqa_ceiling


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


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (2, 1 / 3), (3, 2 / 3), (4, 1), (5, 1)])
def test_with_few_references_the_best_possible_score_is_reported(n: int, expected: float) -> None:
    assert vqa_accuracy("a dog", ["dog"] * n) == pytest.approx(expected)
    assert vqa_ceiling(["Dog."] * n) == pytest.approx(expected)
    assert vqa_accuracy("cat", ["dog"] * n) == 0.0


@pytest.mark.parametrize("answer", ["A", "a.", "(A)", "A)", " A ;", "(a)."])
def test_the_letter_a_is_a_single_reference_as_other_letters_are(answer: str) -> None:
    """In multiple choice, "a" is an answer; as an article, it would be removed."""
    assert vqa_accuracy(answer, ["A"]) == vqa_accuracy(answer, ["(A)"]) == 1
    assert vqa_accuracy(answer.upper().replace("A", "B"), ["B"]) == 1
    assert vqa_accuracy(answer, ["an"]) == vqa_accuracy("", ["A"]) == vqa_accuracy("?", ["A"]) == 0


def test_a_single_reference_is_matched_exactly_once_normalised() -> None:
    assert vqa_accuracy("A cup.", ["cup"]) == 1.0
    assert vqa_accuracy("two cups", ["2 cups"]) == 1.0
    assert vqa_accuracy("cups", ["cup"]) == 0.0
    # Of letters that are articles the normal form leaves nothing.
    assert vqa_accuracy(" a", ["A"]) == 1.0
    assert vqa_accuracy("the", ["A"]) == vqa_accuracy("", ["A"]) == 0.0


def test_red_scores_where_the_only_reference_says_so(cases: Cases) -> None:
    path = cases.hostile("one_reference.jsonl")
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert [vqa_accuracy("Red.", line["references"]) for line in lines] == [1.0] * 3


@pytest.mark.parametrize("people", [["a", "b"], ["a", "b", "c"], ["b", "b", "c"], ["x", "y"] * 5])
def test_the_ceiling_is_the_accuracy_of_the_best_reference(people: list[str]) -> None:
    assert vqa_ceiling(people) == max(vqa_accuracy(answer, people) for answer in people)


def test_answers_are_normalised_even_if_all_agree() -> None:
    assert vqa_accuracy("dog", ["The dog."] * 10) == vqa_accuracy("The dog.", ["dog"] * 10) == 1.0


def test_an_answer_without_references_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        vqa_accuracy("dog", [])
    with pytest.raises(ValueError, match="at least one reference"):
        vqa_ceiling([])


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


@pytest.mark.parametrize(("prediction", "person"), [("first", 0), ("tenth", 9)])
def test_one_person_gets_the_known_score(prediction: str, person: int, cases: Cases) -> None:
    references = answers_of_people(cases)
    answers = [people[person] for people in references]
    expected = cases.vqa_percent[prediction]
    assert mean_percent(answers, references) == pytest.approx(expected, abs=1e-3)


def test_the_multiple_choice_answers_get_the_known_score(cases: Cases) -> None:
    annotations = json.loads(cases.annotations.read_text(encoding="utf-8"))["annotations"]
    answers = [each["multiple_choice_answer"] for each in annotations]
    expected = cases.vqa_percent["multiple_choice"]
    assert mean_percent(answers, answers_of_people(cases)) == pytest.approx(expected, abs=1e-3)
