"""Requests from the user's own JSON Lines."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reference_cases import Cases
from test_workloads_prepare import make_data, one_line

from m1.errors import UserError
from m1.images import open_image
from m1.schemas.requests import Workload
from m1.workloads.jsonl import read_jsonl
from m1.workloads.prepare import prepare

LINES: list[dict[str, Any]] = [
    {"image": "pics/a.png", "prompt": "Où est le café ☕?", "references": ["là", "ici"]},
    {"image": "pics/b.png", "prompt": "How many?", "references": ["2"], "kind": "count"},
    {"image": "pics/a.png", "prompt": "Is it {big}?", "references": ["yes"], "request_id": "big"},
]


def write(folder: Path, lines: list[Any]) -> Path:
    (folder / "pics").mkdir(exist_ok=True)
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (8, 8), colour).save(folder / "pics" / f"{name}.png")
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "mine.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return folder / "mine.jsonl"


def data_of(workload: Workload, path: Path, n: int = 3, **changes: Any) -> Any:
    chosen = {"source": "jsonl", "root": str(path), "n_requests": n} | changes
    return make_data(**{workload: chosen})


def test_questions_are_prepared(tmp_path: Path) -> None:
    path = write(tmp_path, LINES)
    prepared = prepare("qa", data_of("qa", path), tmp_path / "out")
    assert [r.prompt for r in prepared.requests] == [line["prompt"] for line in LINES]
    assert [r.request_id for r in prepared.requests] == ["qa-1", "qa-2", "big"]
    assert [r.image_id for r in prepared.requests] == ["image-1", "image-2", "image-1"]
    assert [r.kind for r in prepared.requests] == [None, "count", None]
    assert prepared.requests[0].references == ("là", "ici")
    assert (prepared.source, prepared.corpus) == ("jsonl", {})
    copied = tmp_path / "out" / prepared.requests[1].image
    assert copied.read_bytes() == (tmp_path / "pics" / "b.png").read_bytes()
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2


def test_captions_are_weighted_by_all_references_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, LINES)
    prepared = prepare("captioning", data_of("captioning", path, n=1), tmp_path / "out")
    assert prepared.corpus == {"image-1": ("là", "ici", "yes"), "image-2": ("2",)}
    assert len(prepared.requests) == 1


def test_a_prompt_in_the_params_surrounds_or_replaces_those_of_the_lines(tmp_path: Path) -> None:
    path = write(tmp_path, LINES)
    around = data_of("qa", path, prompt="{question} Be brief.")
    assert prepare("qa", around, tmp_path / "qa").requests[1].prompt == "How many? Be brief."
    instead = data_of("captioning", path, prompt="Describe it.")
    prepared = prepare("captioning", instead, tmp_path / "captioning")
    assert {r.prompt for r in prepared.requests} == {"Describe it."}


def test_images_are_looked_up_from_the_file_and_only_where_they_are_used(tmp_path: Path) -> None:
    absent = LINES[1] | {"image": "none.png"}
    dataset = read_jsonl(write(tmp_path, [LINES[0], "", absent]), "{question}", "qa", tmp_path)
    assert dataset.image_path(dataset.requests[0]) == tmp_path / "pics" / "a.png"
    assert dataset.requests[1].request_id == "qa-3"


def test_an_image_with_two_paths_is_one_image(tmp_path: Path) -> None:
    """Otherwise its requests would count as independent, and its captions as of two images."""
    ways = ("pics/a.png", "./pics/a.png", "pics//a.png", "pics/./a.png")
    path = write(tmp_path, [LINES[0] | {"image": way} for way in ways])
    prepared = prepare("qa", data_of("qa", path, n=4), tmp_path / "out")
    assert {request.image_id for request in prepared.requests} == {"image-1"}


@pytest.mark.parametrize(
    ("name", "copied"),
    [("A b.JPG", "image-1.jpg"), ("a." + "y" * 250, "image-1"), ("Fig. 3 left", "image-1")],
)
def test_copies_keep_only_real_file_endings(name: str, copied: str, tmp_path: Path) -> None:
    path = write(tmp_path, [LINES[0] | {"image": name}])
    Image.new("RGB", (8, 8), "red").save(tmp_path / name, "PNG")
    prepared = prepare("qa", data_of("qa", path, n=1), tmp_path / "out")
    assert prepared.requests[0].image == f"images/{copied}"
    assert open_image(tmp_path / "out", f"images/{copied}").size == (8, 8)


def with_first(**changes: Any) -> list[Any]:
    return [LINES[0] | changes, *LINES[1:]]


MISTAKES: dict[str, tuple[list[Any], str]] = {
    "not JSON": ([LINES[0], "{image: a}"], "line 2: not JSON: "),
    "no prompt": ([{"image": "a.png", "references": ["a"]}], "line 1: prompt is missing"),
    "a blank prompt": (with_first(prompt=" "), "line 1: the prompt has no text; say what"),
    "no references": (with_first(references=[]), "line 1: no reference has text; give one"),
    "blank references": (with_first(references=["", " "]), "line 1: no reference has text"),
    "a text as references": (with_first(references="a"), 'line 1: references = "a": '),
    "an unknown key": (with_first(answer="a"), "line 1: answer is not a known key"),
    "an id twice": (with_first(request_id="big"), "request big occurs more than once"),
    "an id like a default one": (with_first(request_id="qa-2"), "request qa-2 occurs more"),
    "an id that is a path": (
        with_first(image_id="../../x"),
        "line 1: image_id '../../x': use up to 100 letters, digits",
    ),
    "two images with one id": (
        [LINES[0] | {"image_id": "x"}, LINES[1] | {"image_id": "x"}],
        "line 2: image_id 'x': pics/a.png has that id; give each image its own",
    ),
    "an image with two ids": (
        [LINES[0] | {"image_id": "x"}, LINES[2] | {"image_id": "y"}],
        "line 2: image_id 'y': pics/a.png is 'x' before; keep one id",
    ),
    "an image with a long name": (with_first(image="x" * 5000), "request qa-1: no image /"),
    "an image with a zero byte": (with_first(image="a\0b"), "request qa-1: no image "),
    "an image without a name": (with_first(image=""), 'line 1: image = "": '),
    "an id of many bytes": (with_first(image_id="\u6f22" * 90), "use up to 100 letters"),
    "a long id": (with_first(image_id="x" * 101), "use up to 100 letters"),
    "half a character": (
        [r'{"image": "a.png", "prompt": "\ud800", "references": ["a"]}'],
        "line 1: not JSON: ",
    ),
    "a huge made picture": (
        [{"image_size": [16384, 16384], "prompt": "a", "references": ["a"]}],
        "line 1: image_size = [16384, 16384]: has more than 89478485 pixels",
    ),
    "a made line": (
        [{"image_size": [16384, 8], "prompt": "a", "references": ["a"]}],
        "line 1: image_size = [16384, 8]: one side is more than 200 times the other",
    ),
    "a missing image": (with_first(image="no.png"), "request qa-1: no image "),
    "an image that is none": (with_first(image="mine.jsonl"), "no JPEG, PNG, WebP or GIF"),
    "nothing": (["", "  "], "no request in it; write one a line"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, tmp_path: Path) -> None:
    lines, expected = MISTAKES[mistake]
    path = write(tmp_path, lines)
    message = one_line("qa", data_of("qa", path, n=len(lines)), tmp_path / "out")
    assert message.startswith(str(path))
    assert expected in message
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    message = one_line("qa", data_of("qa", tmp_path / "no.jsonl"), tmp_path / "out")
    assert message == f"{tmp_path / 'no.jsonl'}: no such file; set root in params.yaml to the " + (
        ".jsonl file"
    )


def test_a_size_alone_gets_a_made_picture_of_that_size(tmp_path: Path) -> None:
    sized = [
        {"image_size": [640, 427], "image_id": "9", "prompt": "Red?", "references": ["no"]},
        {"image_size": [640, 427], "image_id": "9", "prompt": "Blue?", "references": ["yes"]},
        {"image_size": [333, 500], "prompt": "Why?", "references": ["why not"]},
    ]
    path = write(tmp_path, sized)
    first = prepare("qa", data_of("qa", path), tmp_path / "one")
    assert [r.image_id for r in first.requests] == ["9", "9", "image-2"]
    sizes = [open_image(tmp_path / "one", r.image).size for r in first.requests]
    assert sizes == [(640, 427), (640, 427), (333, 500)]
    assert prepare("qa", data_of("qa", path), tmp_path / "two").fingerprint == first.fingerprint


def test_the_size_for_all_images_is_that_of_made_pictures_too(tmp_path: Path) -> None:
    sized = {"image_size": [640, 427], "prompt": "Red?", "references": ["no"]}
    path = write(tmp_path, [sized, LINES[0]])
    prepared = prepare("qa", data_of("qa", path, n=2, resize_to=(96, 54)), tmp_path / "out")
    sizes = [open_image(tmp_path / "out", r.image).size for r in prepared.requests]
    assert sizes == [(96, 54)] * 2


@pytest.mark.parametrize("given", [{}, {"image": "pics/a.png", "image_size": [8, 8]}])
def test_a_line_has_either_an_image_or_a_size(tmp_path: Path, given: dict[str, Any]) -> None:
    path = write(tmp_path, [given | {"prompt": "Red?", "references": ["no"]}])
    with pytest.raises(UserError, match=r"mine\.jsonl: line 1.*either image or image_size"):
        prepare("qa", data_of("qa", path, n=1), tmp_path / "out")


def test_one_id_cannot_stand_for_two_sizes(tmp_path: Path) -> None:
    sizes = ([8, 8], [9, 9])
    lines = [
        {"image_size": size, "image_id": "a", "prompt": "Red?", "references": ["no"]}
        for size in sizes
    ]
    with pytest.raises(UserError, match="give each image its own"):
        prepare("qa", data_of("qa", write(tmp_path, lines), n=2), tmp_path / "out")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, cases: Cases) -> None:
    path = cases.hostile("with_byte_order_mark.jsonl")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    data = data_of("qa", path, n=1)
    assert len(prepare("qa", data, tmp_path / "out").requests) == 1


def test_bytes_that_are_no_text_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path, LINES)
    path.write_bytes(path.read_bytes() + b'{"image": "\xed\xa0\x80"}\n')
    message = one_line("qa", data_of("qa", path), tmp_path / "out")
    assert message == f"{path}: cannot be read (not UTF-8 text); save it as UTF-8"


def test_images_keep_the_names_that_their_user_gave_them(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("own/tall one.png", "beside.png"):
        Image.new("RGB", (8, 40), "red").save(tmp_path / name)
    images = ({"image": "tall one.png"}, {"image": "../beside.png"}, {"image_size": [9, 9]})
    lines = [{"prompt": "What?", "references": ["a"]} | image for image in images]
    path = write(tmp_path / "own", lines)
    prepared = prepare("qa", data_of("qa", path, n=3), tmp_path / "out")
    names = {"images/image-1.png": "tall one.png", "images/image-2.png": "../beside.png"}
    assert prepared.image_names == names
    # They are no part of what answers are kept under.
    assert prepared.model_copy(update={"image_names": {}}).content_fingerprint == (
        prepared.fingerprint
    )
