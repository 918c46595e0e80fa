import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference_cases import Cases

from m1.errors import UserError
from m1.quality.vqa import vqa_accuracy
from m1.workloads.coco_captions import read_coco_captions
from m1.workloads.dataset import Dataset
from m1.workloads.vqa_v2 import read_vqa_v2

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "v2_mscoco_val2014_annotations.json"
CAPTIONS = "captions_val2014.json"

Files = dict[str, Any]


def annotation(question_id: int, image_id: int, answers: list[str]) -> dict[str, Any]:
    given = [
        {"answer": a, "answer_confidence": "maybe", "answer_id": i}
        for i, a in enumerate(answers, start=1)
    ]
    return {
        "question_type": "what is",
        "multiple_choice_answer": answers[0],
        "answers": given,
        "image_id": image_id,
        "answer_type": "other",
        "question_id": question_id,
    }


def small_dataset() -> Files:
    """Two questions about one photograph and one about another; captions out of order."""
    questions = [
        {"image_id": 42, "question": "What is it?", "question_id": 42001},
        {"image_id": 42, "question": "Is it {big}?", "question_id": 42000},
        {"image_id": 7, "question": "Where?", "question_id": 7000},
    ]
    annotations = [
        annotation(7000, 7, ["sea"] * 9 + ["beach"]),
        annotation(42000, 42, ["yes"] * 10),
        annotation(42001, 42, [f"cat {i}" for i in range(10)]),
    ]
    said = [(1, 7, "A beach."), (2, 42, "A cat."), (3, 7, "The sea."), (4, 42, "One cat.")]
    captions = [{"id": i, "image_id": image, "caption": text} for i, image, text in said]
    return {
        QUESTIONS: {"info": {"year": 2017}, "questions": questions},
        ANNOTATIONS: {"license": {}, "annotations": annotations},
        CAPTIONS: {"images": [{"id": 42, "height": 480}, {"id": 7}], "annotations": captions},
    }


def write_files(files: Files, root: Path, folder: str = "annotations") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (root / folder / name).write_text(text)
    return root


def touch_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    images = ("val2014/COCO_val2014_000000000042.jpg", "more/000000000007.png")
    touch_images(tmp_path, *images, "val2014/notes.txt", "val2014/000000000042.jpg.part")
    return write_files(small_dataset(), tmp_path)


# What is read


def test_vqa_v2_is_read_in_the_order_of_the_questions(root: Path) -> None:
    dataset = read_vqa_v2(root, "Q: {question} Answer in {one} word.")
    requests = dataset.requests
    assert [r.request_id for r in requests] == ["qa-42001", "qa-42000", "qa-7000"]
    assert [r.image_id for r in requests] == ["000000000042"] * 2 + ["000000000007"]
    assert dataset.corpus == {}
    assert dataset.image_path(requests[0]) == root / "val2014/COCO_val2014_000000000042.jpg"
    assert dataset.image_path(requests[2]) == root / "more/000000000007.png"
    assert requests[1].prompt == "Q: Is it {big}? Answer in {one} word."
    assert requests[0].references == tuple(f"cat {i}" for i in range(10))
    assert requests[2].references == ("sea",) * 9 + ("beach",)
    assert {r.kind for r in requests} == {"what is"}


def test_coco_captions_are_read_in_the_order_of_the_images(root: Path) -> None:
    dataset = read_coco_captions(root, "Describe {question}.")
    requests, corpus = dataset.requests, dataset.corpus
    assert [r.request_id for r in requests] == ["captioning-42", "captioning-7"]
    assert [r.image_id for r in requests] == ["000000000042", "000000000007"]
    assert dataset.image_path(requests[1]) == root / "more/000000000007.png"
    assert {r.prompt for r in requests} == {"Describe {question}."}
    assert {r.kind for r in requests} == {None}
    assert requests[0].references == ("A cat.", "One cat.")
    assert corpus == {"000000000042": ("A cat.", "One cat."), "000000000007": (
        "A beach.", "The sea.",
    )}  # fmt: skip


def test_files_and_images_may_lie_in_the_root_itself(tmp_path: Path) -> None:
    write_files(small_dataset(), tmp_path, folder=".")
    touch_images(tmp_path, "000000000042.jpg", "000000000007.JPEG")
    dataset = read_vqa_v2(tmp_path, "{question}")
    assert [dataset.image_path(r).relative_to(tmp_path).as_posix() for r in dataset.requests] == [
        *["000000000042.jpg"] * 2,
        "000000000007.JPEG",
    ]


def test_validation_is_used_if_training_is_beside_it(root: Path) -> None:
    folder = root / "annotations"
    for name in (QUESTIONS, ANNOTATIONS, CAPTIONS):
        (folder / name.replace("val2014", "train2014")).write_text("{}")
    assert read_vqa_v2(root, "{question}").requests
    assert read_coco_captions(root, "Describe.").requests


def test_a_question_type_may_be_missing(root: Path) -> None:
    files = small_dataset()
    for entry in files[ANNOTATIONS]["annotations"]:
        del entry["question_type"]
    dataset = read_vqa_v2(write_files(files, root), "{question}")
    assert {r.kind for r in dataset.requests} == {None}


# Real files


def test_real_vqa_v2_questions(tmp_path: Path, cases: Cases) -> None:
    shutil.copyfile(cases.questions, tmp_path / QUESTIONS)
    shutil.copyfile(cases.annotations, tmp_path / ANNOTATIONS)
    questions = json.loads(cases.questions.read_text())["questions"]
    assert len(questions) == cases.n_questions
    requests = read_vqa_v2(tmp_path, "{question}").requests
    assert [r.prompt for r in requests] == [q["question"] for q in questions]
    assert [r.request_id for r in requests] == [f"qa-{q['question_id']}" for q in questions]
    assert {len(r.references) for r in requests} == {10}
    # The known score of the first person's answers shows that they were matched rightly.
    scores = [vqa_accuracy(r.references[0], r.references) for r in requests]
    assert 100 * sum(scores) / len(scores) == pytest.approx(cases.vqa_percent["first"])


def test_real_coco_captions(tmp_path: Path, cases: Cases) -> None:
    shutil.copyfile(cases.captions, tmp_path / CAPTIONS)
    annotations = json.loads(cases.captions.read_text())["annotations"]
    dataset = read_coco_captions(tmp_path, "Describe the image.")
    requests, corpus = dataset.requests, dataset.corpus
    assert len(requests) == len(corpus) == cases.n_captioned
    assert sum(map(len, corpus.values())) == len(annotations)
    for request in requests:
        said = [a["caption"] for a in annotations if a["image_id"] == int(request.image_id)]
        assert list(request.references) == list(corpus[request.image_id]) == said


def test_real_photographs_are_found(cases: Cases) -> None:
    dataset = read_coco_captions(cases.photos, "Describe the image.")
    assert len(dataset.requests) == 6
    assert all(dataset.image_path(request).is_file() for request in dataset.requests)


# Errors


def set_question(key: str, value: object) -> Callable[[Files], object]:
    return lambda files: files[QUESTIONS]["questions"][0].update({key: value})


def set_answers(answers: list[dict[str, Any]]) -> Callable[[Files], object]:
    return lambda files: files[ANNOTATIONS]["annotations"][0].update(answers=answers)


def replace_file(name: str, content: object) -> Callable[[Files], object]:
    return lambda files: files.update({name: content})


def repeat_first(name: str, key: str) -> Callable[[Files], object]:
    return lambda files: files[name][key].append(files[name][key][0])


QA_MISTAKES: dict[str, tuple[Callable[[Files], object], str]] = {
    "two questions files": (
        replace_file(QUESTIONS.replace("mscoco", "mine"), {"questions": []}),
        r"several v2_OpenEnded_\*_questions.json .*mine_val2014.*, .*mscoco.*; name the one to",
    ),
    "not JSON": (
        replace_file(QUESTIONS, "questions: 3"),
        rf"{QUESTIONS}: not JSON: expected value at line 1",
    ),
    "half a file": (replace_file(ANNOTATIONS, '{"annotations": [{'), rf"{ANNOTATIONS}: not JSON"),
    "another layout": (replace_file(QUESTIONS, []), rf"{QUESTIONS}: the whole = \[\]: .*object"),
    "no list of questions": (replace_file(QUESTIONS, {}), rf"{QUESTIONS}: questions is missing"),
    "a text as id": (
        set_question("question_id", "42001"),
        rf'{QUESTIONS}: questions\[0\].question_id = "42001": .*integer',
    ),
    "an empty question": (
        set_question("question", " "),
        rf"{QUESTIONS}: question 42001 has no text; add it, or remove",
    ),
    "a question without annotation": (
        lambda files: files[ANNOTATIONS]["annotations"].pop(0),
        rf"{ANNOTATIONS}: question 7000 has no annotation; take both files",
    ),
    "an annotation of no question": (
        lambda files: files[QUESTIONS]["questions"].pop(0),
        rf"{ANNOTATIONS}: it annotates question 42001, which .*; take both files",
    ),
    "different images": (
        set_question("image_id", 7),
        rf"{ANNOTATIONS}: question 42001 is about image 42 here and about image 7 in",
    ),
    "a question twice": (
        repeat_first(QUESTIONS, "questions"),
        rf"{QUESTIONS}: question 42001 occurs more than once",
    ),
    "an annotation twice": (
        repeat_first(ANNOTATIONS, "annotations"),
        rf"{ANNOTATIONS}: question 7000 occurs more than once",
    ),
    "no answers": (set_answers([]), rf"{ANNOTATIONS}: question 7000 has no answers; add them"),
    "blank answers": (
        set_answers([{"answer": " ", "answer_id": 1}]),
        rf"{ANNOTATIONS}: question 7000 has no answers",
    ),
}

CAPTION_MISTAKES: dict[str, tuple[Callable[[Files], object], str]] = {
    "two captions files": (replace_file("captions_val2014_b.json", {}), r"several captions\*.json"),
    "not JSON": (replace_file(CAPTIONS, ""), rf"{CAPTIONS}: not JSON"),
    "an image twice": (
        repeat_first(CAPTIONS, "images"),
        rf"{CAPTIONS}: image 42 occurs more than once",
    ),
    "a caption twice": (
        repeat_first(CAPTIONS, "annotations"),
        rf"{CAPTIONS}: caption 1 occurs more than once",
    ),
    "a caption of no image": (
        lambda files: files[CAPTIONS]["images"].pop(0),
        rf"{CAPTIONS}: caption 2 is about image 42, which `images` does not list; add",
    ),
    "an image without captions": (
        lambda files: files[CAPTIONS]["images"].append({"id": 8}),
        rf"{CAPTIONS}: image 8 has no caption; add some, or remove it",
    ),
    "blank captions": (
        lambda files: [entry.update(caption="\n") for entry in files[CAPTIONS]["annotations"]],
        rf"{CAPTIONS}: image 42 has no caption",
    ),
}


Reader = Callable[[Path, str], Dataset]


def one_line(act: Callable[[], object], start: object) -> str:
    with pytest.raises(UserError) as caught:
        act()
    message = str(caught.value)
    assert message.startswith(str(start))
    assert "\n" not in message
    return message


def mistake_in(read: Reader, root: Path) -> str:
    return one_line(lambda: read(root, "{question}"), root)


def mistake_in_images(read: Reader, root: Path) -> str:
    """The error of looking up all images, after reading without error."""
    dataset = read(root, "{question}")
    return one_line(lambda: [dataset.image_path(r) for r in dataset.requests], root)


@pytest.mark.parametrize("mistake", QA_MISTAKES)
def test_mistakes_in_vqa_v2(mistake: str, root: Path) -> None:
    files = small_dataset()
    make, expected = QA_MISTAKES[mistake]
    make(files)
    assert re.search(expected, mistake_in(read_vqa_v2, write_files(files, root)))


@pytest.mark.parametrize("mistake", CAPTION_MISTAKES)
def test_mistakes_in_coco_captions(mistake: str, root: Path) -> None:
    files = small_dataset()
    make, expected = CAPTION_MISTAKES[mistake]
    make(files)
    assert re.search(expected, mistake_in(read_coco_captions, write_files(files, root)))


@pytest.mark.parametrize("name", [QUESTIONS, ANNOTATIONS])
def test_a_missing_vqa_v2_file(name: str, root: Path) -> None:
    (root / "annotations" / name).unlink()
    assert re.search(
        r"no v2_\S+\.json in it or its annotations/; put the", mistake_in(read_vqa_v2, root)
    )


def test_a_missing_captions_file(root: Path) -> None:
    (root / "annotations" / CAPTIONS).unlink()
    assert re.search(r"no captions\*\.json in it or its", mistake_in(read_coco_captions, root))


@pytest.mark.parametrize("read", [read_vqa_v2, read_coco_captions])
def test_a_missing_image(read: Reader, root: Path) -> None:
    (root / "more" / "000000000007.png").unlink()
    assert "image 7 is missing; put 000000000007.jpg" in mistake_in_images(read, root)
    # Only of what was fetched more can be.
    Path(f"{root}.json").write_text("{}")
    message = mistake_in_images(read, root)
    assert "image 7 is missing; run `m1 fetch`, or put 000000000007.jpg" in message


@pytest.mark.parametrize("read", [read_vqa_v2, read_coco_captions])
def test_an_image_in_two_places(read: Reader, root: Path) -> None:
    touch_images(root, "val2017/000000000042.jpg")
    message = mistake_in_images(read, root)
    assert "COCO_val2014_000000000042.jpg and val2017/000000000042.jpg; keep one" in message


# The Karpathy split


def write_split(root: Path, **splits: int) -> None:
    images = [
        {"cocoid": image, "split": split, "filepath": "val2014", "sentences": [{"raw": "A."}]}
        for split, image in splits.items()
    ]
    (root / "dataset_coco.json").write_text(json.dumps({"dataset": "coco", "images": images}))


def test_the_karpathy_test_split_takes_its_images_and_their_captions(root: Path) -> None:
    write_split(root, test=7, val=42, train=9)
    dataset = read_coco_captions(root, "Describe.", "karpathy-test")
    assert [r.request_id for r in dataset.requests] == ["captioning-7"]
    assert dataset.corpus == {"000000000007": ("A beach.", "The sea.")}
    assert len(read_coco_captions(root, "Describe.").requests) == 2


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (None, r"no dataset_coco.json in it or its annotations/"),
        ({"val": 42}, r"dataset_coco.json: no image is in the split `test`"),
        ({"test": 9}, r"dataset_coco.json: image 9 of the split `test` is not in captions_val2014"),
    ],
)
def test_mistakes_in_the_karpathy_split(
    splits: dict[str, int] | None, expected: str, root: Path
) -> None:
    if splits:
        write_split(root, **splits)
    act = lambda: read_coco_captions(root, "Describe.", "karpathy-test")  # noqa: E731
    assert re.search(expected, one_line(act, root))


# Names of their own


def with_names(root: Path, **names: str) -> Path:
    """A dataset whose annotations name its images: `image_7="photos/a b.webp"`."""
    files = small_dataset()
    for entry in files[CAPTIONS]["images"]:
        entry["file_name"] = names[f"image_{entry['id']}"]
    return write_files(files, root)


def test_images_have_names_of_their_own_where_annotations_name_them(tmp_path: Path) -> None:
    root = with_names(tmp_path, image_42="Fig. 1.webp", image_7="of/day two/a.png")
    touch_images(root, "more/Fig. 1.webp", "000000000042.jpg")
    (root / "of" / "day two").mkdir(parents=True)
    (root / "of" / "day two" / "a.png").touch()
    dataset = read_coco_captions(root, "Describe.")
    paths = [dataset.image_path(request) for request in dataset.requests]
    assert paths == [root / "more" / "Fig. 1.webp", root / "of" / "day two" / "a.png"]
    assert [r.request_id for r in dataset.requests] == ["captioning-42", "captioning-7"]


def test_a_name_that_looks_like_the_id_of_another_image_is_a_name(tmp_path: Path) -> None:
    root = with_names(tmp_path, image_42="000000000007.jpg", image_7="000000000042.jpg")
    touch_images(root, "000000000042.jpg", "000000000007.jpg")
    dataset = read_coco_captions(root, "Describe.")
    names = [dataset.image_path(request).name for request in dataset.requests]
    assert names == ["000000000007.jpg", "000000000042.jpg"]


def test_a_name_says_which_of_several_files_is_meant(root: Path) -> None:
    name = "val2014/COCO_val2014_000000000042.jpg"
    touch_images(root, "train/000000000042.jpg")
    with_names(root, image_42=name, image_7="nowhere.png")
    dataset = read_coco_captions(root, "Describe.")
    assert dataset.image_path(dataset.requests[0]) == root / name
    # What is not there under its name is looked up by its id.
    assert dataset.image_path(dataset.requests[1]) == root / "more/000000000007.png"


def test_official_images_may_be_a_link_to_where_they_are_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    touch_images(kept, "COCO_val2014_000000000042.jpg", "COCO_val2014_000000000007.jpg")
    names = {f"image_{i}": f"COCO_val2014_{i:012d}.jpg" for i in (7, 42)}
    root = with_names(tmp_path / "coco", **names)
    (root / "val2014").symlink_to(kept)
    dataset = read_coco_captions(root, "Describe.")
    found = [dataset.image_path(request) for request in dataset.requests]
    assert found == [root / "val2014" / names["image_42"], root / "val2014" / names["image_7"]]


@pytest.mark.parametrize("name", ["../out.jpg", "more/../../out.jpg", "{out}", "link.jpg"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    out.touch()
    root = with_names(tmp_path / "own", image_42=name.format(out=out), image_7="a.png")
    touch_images(root, "more/a.png")
    (root / "link.jpg").symlink_to(out)
    message = mistake_in_images(read_coco_captions, root)
    assert "leads out of the folder; put the image in the folder, and name it by" in message


def test_a_missing_image_is_reported_with_both_its_names(tmp_path: Path) -> None:
    root = with_names(tmp_path, image_42="photos/1.jpg", image_7="photos/2.jpg")
    message = mistake_in_images(read_coco_captions, root)
    assert "image 42 is missing; put photos/1.jpg or 000000000042.jpg (or COCO_" in message


# Exports


def test_ids_that_exports_leave_out_may_be_missing(root: Path) -> None:
    files = small_dataset()
    for entry in files[ANNOTATIONS]["annotations"]:
        for answer in entry["answers"]:
            del answer["answer_id"]
    for caption in files[CAPTIONS]["annotations"]:
        del caption["id"]
    write_files(files, root)
    assert read_vqa_v2(root, "{question}").requests[0].references[0] == "cat 0"
    assert read_coco_captions(root, "Describe.").requests[0].references == ("A cat.", "One cat.")
    files[CAPTIONS]["images"].pop()
    assert "caption 'A beach.' is about image 7" in mistake_in(
        read_coco_captions, write_files(files, root)
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_is_accepted_and_other_encodings_are_reported(
    encoding: str, root: Path
) -> None:
    file = root / "annotations" / CAPTIONS
    file.write_text(file.read_text(), encoding=encoding)
    if encoding == "utf-8-sig":
        assert len(read_coco_captions(root, "Describe.").requests) == 2
    else:
        message = mistake_in(read_coco_captions, root)
        assert message == f"{file}: cannot be read (not UTF-8 text); save it as UTF-8"


# Several files


def test_if_there_are_several_files_the_named_one_is_read(tmp_path: Path) -> None:
    files = small_dataset()
    names = ("captions_train2017.json", "captions_val2017.json", "mine.json")
    write_files({names[0]: files[CAPTIONS], names[1]: {}}, tmp_path)
    write_files({names[2]: files[CAPTIONS]}, tmp_path, folder=".")
    message = mistake_in(read_coco_captions, tmp_path)
    assert "(annotations/captions_train2017.json, annotations/captions_val2017.json)" in message
    assert message.endswith("; name the one to use in data.captioning.annotations")
    for name in (names[0], f"annotations/{names[0]}", names[2]):
        assert len(read_coco_captions(tmp_path, "Describe.", annotations=name).requests) == 2
    told = one_line(lambda: read_coco_captions(tmp_path, "?", annotations="no.json"), "data.")
    assert told.startswith(f"data.captioning.annotations: no no.json in {tmp_path} or its anno")
    assert "there is annotations/captions_train2017.json, annotations/captions_val2017" in told


def test_questions_and_answers_are_named_together(root: Path) -> None:
    files = small_dataset()
    mine = {"q.json": files[QUESTIONS], "a.json": files[ANNOTATIONS]}
    write_files(mine | {QUESTIONS.replace("mscoco", "mine"): {}}, root)
    assert len(read_vqa_v2(root, "{question}", ("q.json", "a.json")).requests) == 3
    message = one_line(lambda: read_vqa_v2(root, "{question}", ("a.json", "q.json")), root)
    assert message.endswith("a.json: questions is missing")
