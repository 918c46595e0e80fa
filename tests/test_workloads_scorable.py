"""Prepare refuses requests that cannot be scored, and reports the limit of scores."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from PIL import Image
from whole_run import ROOT, merged

from m1.errors import UserError
from m1.schemas.requests import Request, RequestSet, Workload
from m1.workloads.scorable import check_scorable, notes_on_scores
from stages.prepare import main as prepare_stage


def request(number: int, references: Sequence[str]) -> Request:
    return Request(
        request_id=f"r{number}",
        image_id=f"image-{number}",
        image="a.png",
        prompt="What?",
        references=tuple(references),
        kind=None,
    )


def made(workload: Workload, *references: Sequence[str]) -> RequestSet:
    requests = tuple(request(i, texts) for i, texts in enumerate(references, start=1))
    corpus = {r.image_id: r.references for r in requests} if workload == "captioning" else {}
    return RequestSet.of(workload, "jsonl", requests, {}, corpus)


def check(prepared: RequestSet) -> None:
    check_scorable(prepared.workload, prepared.requests, prepared.corpus)


@pytest.mark.parametrize(
    ("references", "told"),
    [
        ([["a dog"]], "about 1 image: give captions of two images or more"),
        ([["a dog"], ["a dog."]], "no caption can score in CIDEr"),
        ([["..."], ["!"]], "no caption can score in CIDEr"),
        ([["\U0001f600"], ["\U0001f600"]], "no caption can score in CIDEr"),
    ],
    ids=["one image", "the same of all", "punctuation", "pictographs"],
)
def test_captions_that_cannot_score_are_refused(references, told) -> None:
    with pytest.raises(UserError, match=told) as refused:
        check(made("captioning", *references))
    assert "\n" not in str(refused.value)


def test_one_request_of_a_larger_corpus_can_be_scored() -> None:
    both = made("captioning", ["a dog"], ["a cat"])
    check_scorable("captioning", both.requests[:1], both.corpus)
    check(both)
    check(made("qa", ["yes"]))


@pytest.mark.parametrize(
    ("workload", "references", "told"),
    [
        ("qa", [["cup"]], None),
        ("qa", [["cup"] * 4, ["cup"]], None),
        ("qa", [["a cup", "cup"]], "1 of 1 requests .* mean accuracy of 0.333"),
        ("qa", [["cup"] * 10, ["cup"] * 3, ["x", "y"]], r"2 of 3 .* of 0.611"),
        ("captioning", [["a dog"], ["a cat"]], None),
        ("captioning", [["ein Hund"], ["eine Katze"]], None),
        ("captioning", [["a dog"], ["a cat"], ["."]], "1 of 3 images score 0 .* image-3"),
        ("captioning", [["\u4e00\u53ea\u732b"], ["\u72d7"]], "not in Latin letters"),
        ("captioning", [["\u043a\u043e\u0442"], ["\u043f\u0451\u0441"]], "not in Latin letters"),
    ],
)
def test_the_limit_of_scores_is_reported_in_one_line(workload, references, told) -> None:
    notes = list(notes_on_scores(made(workload, *references)))
    assert len(notes) == (told is not None)
    assert told is None or re.search(told, notes[0])


def prepared(folder: Path, workload: Workload, lines: Sequence[Mapping[str, object]]) -> Path:
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    Image.new("RGB", (32, 32), "red").save(folder / "b.png")
    file = folder / "my.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": "What?"} | dict(one)) for one in lines))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    source = {"source": "jsonl", "root": str(file), "n_requests": len(lines), "prompt": None}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(merged(params, {"data": {workload: source}})))
    return path


def test_prepare_refuses_captions_of_one_image_and_writes_nothing(tmp_path) -> None:
    params = prepared(tmp_path, "captioning", [{"image": "a.png", "references": ["a dog"]}])
    with pytest.raises(UserError, match="about 1 image"):
        prepare_stage("captioning", params, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_reports_the_best_possible_accuracy(tmp_path, capsys) -> None:
    lines = [{"image": f"{name}.png", "references": ["a cup", "cup"]} for name in "ab"]
    prepare_stage("qa", prepared(tmp_path, "qa", lines), tmp_path / "out")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("qa: 2 requests about 2 images")
    assert second.startswith("qa: 2 of 2 requests have two or three references")
