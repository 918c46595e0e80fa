"""Prepared requests are read as they were prepared, or refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulated import simulate_answers, simulate_answers_run, simulate_rows, simulate_run
from whole_run import SMALL, command, write_params

from m1.errors import UserError
from m1.files import read_record, write_record, write_rows
from m1.params import DataParams, load_params
from m1.prepared import read_requests, read_requests_and_images
from m1.schemas.requests import WORKLOADS, RequestSet
from m1.workloads.prepare import prepare


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataParams:
    return load_params(write_params(tmp_path_factory.mktemp("params"), SMALL)).data


@pytest.fixture
def folder(data, tmp_path) -> Path:
    prepare("captioning", data, tmp_path / "captioning")
    return tmp_path / "captioning"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    file = folder / "requests.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    return file


def test_prepared_requests_are_read_unchanged(folder) -> None:
    prepared = read_record(RequestSet, folder / "requests.json")
    assert read_requests(folder / "requests.json") == prepared
    assert read_requests_and_images(folder) == prepared
    assert len(prepared.fingerprint) == 64
    # Only how the file is laid out is another.
    assert read_requests(edit(folder, lambda _: None)) == prepared


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "prompt": lambda r: r["requests"][0].update(prompt="Say nothing."),
    "reference": lambda r: r["requests"][1].update(references=["a lie"]),
    "order": lambda r: r["requests"].reverse(),
    "request": lambda r: r["requests"].pop(),
    "workload": lambda r: r.update(workload="qa"),
    "corpus": lambda r: r["corpus"].update(more=["one more caption"]),
    "smaller corpus": lambda r: r["corpus"].popitem(),
    "image": lambda r: r["image_digests"].update({r["requests"][0]["image"]: "0" * 64}),
    "fingerprint": lambda r: r.update(fingerprint="0" * 64),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_an_edit_under_an_old_fingerprint_is_refused(folder, change) -> None:
    file = edit(folder, change)
    for read in (lambda: read_requests(file), lambda: read_requests_and_images(folder)):
        with pytest.raises(UserError, match="changed after it was prepared") as caught:
            read()
        assert str(caught.value).startswith(f"{file}: ")
        assert "\n" not in str(caught.value)


def test_a_replaced_or_missing_image_is_refused(folder) -> None:
    one, other = sorted((folder / "images").iterdir())[:2]
    other.write_bytes(one.read_bytes())
    with pytest.raises(UserError, match=f"{other}: not the image"):
        read_requests_and_images(folder)
    # Requests alone say nothing about it: scoring reads no images.
    assert read_requests(folder / "requests.json").requests
    other.unlink()
    lost = rf"{other}: cannot be read \(No such file or directory\): run `dvc repro -f`"
    with pytest.raises(UserError, match=lost):
        read_requests_and_images(folder)


def test_other_references_in_the_corpus_change_the_fingerprint(folder) -> None:
    before = read_requests(folder / "requests.json")
    corpus = before.corpus | {"more": ("one more caption",)}
    after = RequestSet.of(
        before.workload, before.source, before.requests, before.image_digests, corpus
    )
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("stage", ["profiling", "answers", "pareto"])
def test_every_stage_that_reads_requests_refuses_edited_ones(data, tmp_path, stage) -> None:
    params = write_params(tmp_path, SMALL)
    requests = tmp_path / "requests"
    for workload in WORKLOADS:
        prepare(workload, data, requests / workload)
    edit(requests / "qa", lambda r: r["requests"][0].update(prompt="Say nothing."))
    options: dict[str, object] = {"--params": params, "--requests": requests}
    if stage == "pareto":
        rows = simulate_rows(0)
        answers = simulate_answers(rows)
        write_rows(rows, tmp_path / "profile/rows.parquet")
        write_record(simulate_run(rows=rows), tmp_path / "profile/run.json")
        write_rows(answers, tmp_path / "answers/answers.parquet")
        write_record(simulate_answers_run(answers=answers), tmp_path / "answers/run.json")
        options |= {"--requests": requests / "qa" / "requests.json", "--workload": "qa"}
        options |= {"--answers": tmp_path / "answers", "--profile": tmp_path / "profile"}
        options |= {"--scores": tmp_path / "scores"}
    options["--out"] = tmp_path / "out"
    done = command(stage, *(word for pair in options.items() for word in pair))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {requests}/qa/requests.json: changed after")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
