import pandas as pd
import pytest
from analysed import answered, of_workload
from simulated import World, simulate_requests

from m1.analysis.frontier.scoring import (
    best_accuracy,
    first_line,
    further_quality,
    score_rows,
    scored_answers,
)
from m1.errors import UserError
from m1.quality.captions import CaptionCorpus, bleu4, rouge_l
from m1.quality.vqa import vqa_accuracy
from m1.schemas.markup import Marks, Markup
from m1.schemas.requests import Workload
from m1.schemas.results import ScoredAnswer

WORLD = World(n_images=12, e1_requests=0, e2_requests=6, observer_requests=2)
ANSWERS = answered(WORLD)
MARKUP = Markup(reasoning=(Marks(opening="<think>", closing="</think>"),))


def rows_of(workload: Workload) -> pd.DataFrame:
    return of_workload(workload, ANSWERS)


def test_answers_are_scored_by_their_own_references() -> None:
    requests = simulate_requests("qa", WORLD)
    # People disagree: three of ten give the right answer.
    torn = [
        r.model_copy(update={"references": r.references[:3] + ("other",) * 7})
        for r in requests.requests
    ]
    requests = requests.model_copy(update={"requests": tuple(torn)})
    references = {r.request_id: r.references for r in requests.requests}
    scores = score_rows(rows_of("qa"), requests)
    expected = [
        vqa_accuracy(row.output_text, references[row.request_id]) for row in scores.itertuples()
    ]
    assert scores["quality"].tolist() == expected
    assert sorted(set(expected)) == pytest.approx([0.0, 0.9])


def test_captions_are_weighted_by_the_whole_corpus() -> None:
    requests = simulate_requests("captioning", WORLD)
    corpus = CaptionCorpus.from_references(requests.corpus)
    scores = score_rows(rows_of("captioning"), requests)
    expected = [corpus.cider_d(row.image_id, row.output_text) for row in scores.itertuples()]
    assert scores["quality"].tolist() == expected
    # A score depends neither on the other rows nor on which requests are measured.
    one = rows_of("captioning").iloc[[7]]
    assert score_rows(one, requests)["quality"].tolist() == [expected[7]]


def test_further_quality_covers_all_captions_of_a_setting() -> None:
    requests = simulate_requests("captioning", WORLD)
    found = further_quality(score_rows(rows_of("captioning"), requests), requests)
    assert set(found) == {setting.label for setting in WORLD.grid}
    rows = rows_of("captioning")
    rows = rows[(rows.vision_tokens == 36) & (rows.top_k == 2) & (rows.active_blocks == 6)]
    references = {r.request_id: r.references for r in requests.requests}
    captions = dict(zip(rows.request_id, rows.output_text, strict=True))
    assert found["36/2/6"] == {
        "bleu_4": bleu4(references, captions),
        "rouge_l": rouge_l(references, captions),
    }
    assert further_quality(rows_of("qa"), simulate_requests("qa", WORLD)) == {}


def test_records_keep_whole_numbers_and_missing_values() -> None:
    # A knob that a model lacks is missing, which turns a column's integers into floats.
    rows = pd.concat([rows_of("qa").iloc[:2], rows_of("qa").iloc[:1].assign(top_k=None)])
    records = scored_answers(score_rows(rows, simulate_requests("qa", WORLD)))
    assert all(isinstance(record, ScoredAnswer) for record in records)
    assert [r.top_k for r in records] == [4, 4, None]
    assert [r.output_text for r in records] == rows["output_text"].tolist()


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("red", "red"),
        (" red \n", "red"),
        ("\n\n red\nBecause the circle is red.", "red"),
        ("red \r\nBecause", "red"),
        ("", ""),
        ("\n", ""),
    ],
)
def test_an_answer_is_the_first_line_of_the_output(output: str, answer: str) -> None:
    assert first_line(output) == answer


def test_an_explanation_on_a_further_line_does_not_count() -> None:
    rows, requests = rows_of("qa").iloc[:4], simulate_requests("qa", WORLD)
    explained = rows.assign(output_text=[f" {text}\nI see it." for text in rows["output_text"]])
    same = score_rows(explained, requests)["quality"]
    assert same.tolist() == score_rows(rows, requests)["quality"].tolist()
    assert same.max() > 0


@pytest.mark.parametrize("workload", ["qa", "captioning"])
def test_reasoning_that_the_model_marks_is_kept_and_not_scored(workload) -> None:
    rows, requests = rows_of(workload).iloc[:6], simulate_requests(workload, WORLD)
    plain = score_rows(rows, requests)
    thought = rows.assign(
        output_text=[f"<think>A dog?\nNo.</think>\n\n{text}" for text in rows["output_text"]]
    )
    scores = score_rows(thought, requests, MARKUP)
    assert scores["quality"].tolist() == plain["quality"].tolist()
    assert scores["scored_text"].tolist() == plain["scored_text"].tolist()
    assert scores["output_text"].tolist() == thought["output_text"].tolist()
    assert further_quality(scores, requests) == further_quality(plain, requests)
    assert all(
        record.scored_text == text
        for record, text in zip(scored_answers(scores), rows["output_text"], strict=True)
    )
    # Nothing is taken off where the model marks nothing.
    assert score_rows(thought, requests)["quality"].max() < plain["quality"].max()


@pytest.mark.parametrize("workload", ["qa", "captioning"])
def test_an_output_cut_in_its_reasoning_scores_zero(workload) -> None:
    requests = simulate_requests(workload, WORLD)
    # The normal form of an article is empty, as an answer is that was not given.
    lazy = [
        r.model_copy(update={"references": ("the", "a", *r.references)}) for r in requests.requests
    ]
    requests = requests.model_copy(update={"requests": tuple(lazy)})
    rows = rows_of(workload).iloc[:3].assign(output_text="<think>It is", finish_reason="length")
    scores = score_rows(rows, requests, MARKUP)
    assert scores["quality"].tolist() == [0.0] * 3
    assert set(scores["scored_text"]) == {""}


def test_the_best_accuracy_is_of_the_requests_that_were_scored() -> None:
    requests = simulate_requests("qa", WORLD)
    few = [
        r.model_copy(update={"references": ("red",) * (2 if i else 10)})
        for i, r in enumerate(requests.requests)
    ]
    requests = requests.model_copy(update={"requests": tuple(few)})
    rows = rows_of("qa")
    asked = {r.request_id for r in requests.requests[:2]}
    scores = score_rows(rows[rows["request_id"].isin(asked)], requests)
    assert best_accuracy(scores, requests) == pytest.approx((1 + 1 / 3) / 2)
    assert best_accuracy(scores, simulate_requests("captioning", WORLD)) is None


def test_a_caption_is_the_whole_output() -> None:
    rows, requests = rows_of("captioning").iloc[:4], simulate_requests("captioning", WORLD)
    broken = rows.assign(output_text=[" " + t.replace(" ", "\n", 1) for t in rows["output_text"]])
    expected = score_rows(rows, requests)["quality"].tolist()
    assert score_rows(broken, requests)["quality"].tolist() == pytest.approx(expected)
    first_word = rows.assign(output_text=[t.split()[0] for t in rows["output_text"]])
    assert score_rows(first_word, requests)["quality"].max() < min(expected)


def test_requests_that_are_not_in_the_set_are_an_error() -> None:
    small = simulate_requests("qa", World(n_images=3))
    with pytest.raises(UserError, match=r"request 'qa-0003-0' was answered .* \(and 2 more\)"):
        score_rows(rows_of("qa"), small)


def test_a_corpus_that_cannot_score_is_an_error() -> None:
    requests = simulate_requests("captioning", WORLD)
    tiny = requests.model_copy(update={"corpus": dict([*requests.corpus.items()][:1])})
    with pytest.raises(UserError, match=r"captioning: outputs cannot be scored: .*at least 2"):
        score_rows(rows_of("captioning"), tiny)
    other = requests.model_copy(update={"corpus": dict([*requests.corpus.items()][:4])})
    with pytest.raises(UserError, match=r"captioning: outputs cannot be scored: .*image-0004"):
        score_rows(rows_of("captioning"), other)
