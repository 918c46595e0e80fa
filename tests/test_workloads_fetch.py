"""Whole datasets from a server on this machine, in the official layout."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_server import Fault, LocalServer, serving
from PIL import Image
from reference_cases import EXCERPTS, Cases, answers_of_people, captions_by_image
from test_workloads_archives import zipped
from test_workloads_prepare import png_claiming
from typer.testing import CliRunner

from m1.cli import app
from m1.errors import UserError
from m1.files import read_record
from m1.params import CaptioningData, DataParams, FetchParams, SceneData, WorkloadData
from m1.schemas.datasets import FetchManifest
from m1.schemas.requests import WORKLOADS
from m1.terminal import Terminal
from m1.workloads import archives
from m1.workloads.fetch import FetchProgress, fetch
from m1.workloads.fetchable import FetchableDataset
from m1.workloads.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
# A few real ones: the captions of 30 images, and the answers to 14 questions.
SAID = dict(list(captions_by_image(EXCERPTS).items())[:30])
ANSWERS = answers_of_people(EXCERPTS)[:14]

QUESTIONS_ZIP = "/vqa/v2_Questions_Val_mscoco.zip"
ANNOTATIONS_ZIP = "/vqa/v2_Annotations_Val_mscoco.zip"
CAPTIONS_ZIP = "/annotations/annotations_trainval2014.zip"
KARPATHY_ZIP = "/caption_datasets.zip"
MEMBERS = {
    QUESTIONS_ZIP: "v2_OpenEnded_mscoco_val2014_questions.json",
    ANNOTATIONS_ZIP: "v2_mscoco_val2014_annotations.json",
    CAPTIONS_ZIP: "annotations/captions_val2014.json",
    KARPATHY_ZIP: "dataset_coco.json",
}


def jpeg(image_id: int) -> bytes:
    whole = io.BytesIO()
    Image.new("RGB", (48, 32), (image_id % 256, 80, 80)).save(whole, "JPEG")
    return whole.getvalue()


def image_path(image_id: int) -> str:
    return f"/val2014/COCO_val2014_{image_id:012d}.jpg"


def vqa_files() -> dict[str, Any]:
    """Two questions about each of seven images, with the answers of real annotators."""
    pairs = list(enumerate(ANSWERS))
    ids = [{"question_id": 1000 * (i // 2 + 1) + i % 2, "image_id": i // 2 + 1} for i, _ in pairs]
    questions = [one | {"question": f"Où est le café n° {i} ☕?"} for i, one in enumerate(ids)]
    annotations = [
        one | {"answers": [{"answer": a, "answer_id": n} for n, a in enumerate(said, 1)]}
        for one, (_, said) in zip(ids, pairs, strict=True)
    ]
    return {QUESTIONS_ZIP: {"questions": questions}, ANNOTATIONS_ZIP: {"annotations": annotations}}


def caption_files() -> dict[str, Any]:
    """The captions of real images, half of them in the Karpathy test split."""
    said = {int(image): texts for image, texts in SAID.items()}
    lines = [(image, text) for image, texts in said.items() for text in texts]
    captions = [{"id": n, "image_id": i, "caption": text} for n, (i, text) in enumerate(lines)]
    split = [{"cocoid": i, "split": "test" if n % 2 else "val"} for n, i in enumerate(said)]
    return {
        CAPTIONS_ZIP: {"images": [{"id": i} for i in said], "annotations": captions},
        KARPATHY_ZIP: {"images": split},
    }


class Served:
    """An official server, on this machine. Its archives have the recorded checksums."""

    def __init__(self, server: LocalServer, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.patch = patch
        for path, content in (vqa_files() | caption_files()).items():
            self.put(path, content)
        for image_id in [*range(1, 8), *map(int, SAID)]:
            server.files[image_path(image_id)] = jpeg(image_id)

    def put(self, path: str, content: Any) -> None:
        """Serve an archive of one official file."""
        self.put_archive(path, zipped((MEMBERS[path], json.dumps(content).encode())))

    def put_archive(self, path: str, packed: bytes) -> None:
        self.server.files[path] = packed
        digest = hashlib.sha256(packed).hexdigest()

        def on_record(archive: archives.Archive) -> archives.Archive:
            ours = path.endswith(archive.path)
            return dataclasses.replace(archive, sha256=digest) if ours else archive

        self.patch.setattr(archives, "VQA_V2", tuple(map(on_record, archives.VQA_V2)))
        self.patch.setattr(archives, "COCO_CAPTIONS", on_record(archives.COCO_CAPTIONS))
        self.patch.setattr(archives, "KARPATHY", on_record(archives.KARPATHY))

    def params(self, **changes: Any) -> FetchParams:
        url = self.server.url
        common = {"n_parallel": 3, "n_attempts": 2, "backoff_s": 0.001, "timeout_s": 5.0}
        return FetchParams(
            **{"vqa_v2_url": f"{url}/vqa", "coco_url": url, "karpathy_url": f"{url}/"}
            | common
            | changes
        )


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as server:
        yield Served(server, monkeypatch)


def data_in(root: Path, n: int = 6, seed: int = 1, split: str | None = None) -> DataParams:
    common = {"n_requests": n, "prompt": None}
    captioning = common | {
        "source": "coco-captions",
        "root": str(root / "coco.json"),
        "split": split,
    }
    return DataParams(
        seed=seed,
        scenes=SceneData(n_images=1, questions_per_image=1),
        qa=WorkloadData(**common | {"source": "vqa-v2", "root": str(root / "vqa.json")}),
        captioning=CaptioningData(**captioning),
    )


def run(
    served: Served,
    dataset: FetchableDataset,
    data: DataParams,
    terminal: bool = False,
    **changes: Any,
) -> str:
    """Fetch, and return the printed text."""
    shown = io.StringIO()
    console = Terminal(file=shown, force_terminal=terminal, width=100)
    fetch(dataset, data, served.params(**changes), FetchProgress(console))
    return shown.getvalue()


def one_line(served: Served, dataset: FetchableDataset, data: DataParams, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        run(served, dataset, data, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def image_names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "val2014").iterdir()}


# What is fetched


def test_vqa_v2_is_fetched_and_can_be_prepared(served: Served, tmp_path: Path) -> None:
    data = data_in(tmp_path)
    run(served, "vqa-v2", data)
    prepared = prepare("qa", data, tmp_path / "out")
    used = {f"COCO_val2014_{r.image_id}.jpg" for r in prepared.requests}
    assert image_names(tmp_path / "vqa") == used
    assert len(used) < 7
    assert {r.prompt.partition("☕")[0][:16] for r in prepared.requests} == {"Où est le café n"}
    assert "Answer with one word" in prepared.requests[0].prompt
    assert not list(tmp_path.rglob("*.zip*"))
    assert not list(tmp_path.rglob("*.part*"))


def test_coco_captions_are_fetched_and_can_be_prepared(served: Served, tmp_path: Path) -> None:
    data = data_in(tmp_path)
    run(served, "coco-captions", data)
    prepared = prepare("captioning", data, tmp_path / "out")
    assert image_names(tmp_path / "coco") == {
        f"COCO_val2014_{r.image_id}.jpg" for r in prepared.requests
    }
    assert {r.prompt for r in prepared.requests} == {"Describe the image in one sentence."}
    assert len(prepared.corpus) == len(SAID)
    assert KARPATHY_ZIP not in served.server.paths()


def test_the_karpathy_test_split_is_fetched_where_it_is_asked_for(
    served: Served, tmp_path: Path
) -> None:
    data = data_in(tmp_path, split="karpathy-test")
    run(served, "coco-captions", data)
    prepared = prepare("captioning", data, tmp_path / "out")
    test = [str(one["cocoid"]) for one in caption_files()[KARPATHY_ZIP]["images"]][1::2]
    assert {str(int(r.image_id)) for r in prepared.requests} < set(test)
    assert len(prepared.corpus) == len(test)


def test_a_second_fetch_asks_for_nothing(served: Served, tmp_path: Path) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    before, n_asked = contents(tmp_path), len(served.server.asked)
    run(served, "vqa-v2", data_in(tmp_path))
    assert len(served.server.asked) == n_asked
    assert contents(tmp_path) == before


def test_a_larger_sample_asks_only_for_the_images_it_adds(served: Served, tmp_path: Path) -> None:
    run(served, "coco-captions", data_in(tmp_path, n=6))
    n_asked = len(served.server.asked)
    run(served, "coco-captions", data_in(tmp_path, n=10))
    assert len(served.server.asked) == n_asked + 4
    assert len(image_names(tmp_path / "coco")) == 10


def test_no_more_images_at_a_time_than_allowed(served: Served, tmp_path: Path) -> None:
    for image_id in map(int, SAID):
        served.server.faults[image_path(image_id)] = [Fault(delay_s=0.02)]
    run(served, "coco-captions", data_in(tmp_path, n=20))
    assert 1 < served.server.most_open <= 3


def test_the_users_own_files_are_used_as_they_are(served: Served, tmp_path: Path) -> None:
    data, mine = data_in(tmp_path, n=14), tmp_path / "vqa" / "mine" / "000000000003.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(jpeg(200))
    for path, content in vqa_files().items():
        (tmp_path / "vqa" / MEMBERS[path].replace("mscoco_", "")).write_text(json.dumps(content))
    before = contents(tmp_path)
    run(served, "vqa-v2", data)
    assert contents(tmp_path).items() > before.items()
    assert sorted(served.server.paths()) == [image_path(i) for i in (1, 2, 4, 5, 6, 7)]
    prepare("qa", data, tmp_path / "out")


def with_annotations(data: DataParams, *names: str) -> DataParams:
    """The same settings, with names of annotation files."""
    parts = {w: data.of(w).model_copy(update={"annotations": names}) for w in WORKLOADS}
    return data.model_copy(update=parts)


def test_the_annotations_that_are_named_are_fetched_or_used(served: Served, tmp_path: Path) -> None:
    official = with_annotations(data_in(tmp_path), "captions_val2014.json")
    run(served, "coco-captions", official)
    assert prepare("captioning", official, tmp_path / "out").requests
    message = one_line(served, "coco-captions", with_annotations(official, "captions_mine.json"))
    assert "no captions_mine.json, and `m1 fetch` has captions_val2014.json only: put" in message


def test_images_come_from_the_part_that_the_annotations_are_of(
    served: Served, tmp_path: Path
) -> None:
    name = "captions_train2017.json"
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / name).write_text(json.dumps(caption_files()[CAPTIONS_ZIP]))
    (tmp_path / "coco" / "captions_val2017.json").write_text("{}")
    for image_id in map(int, SAID):
        served.server.files[f"/train2017/{image_id:012d}.jpg"] = jpeg(image_id)
    data = with_annotations(data_in(tmp_path), name)
    run(served, "coco-captions", data)
    assert {path.rpartition("/")[0] for path in served.server.paths()} == {"/train2017"}
    assert len(prepare("captioning", data, tmp_path / "out").requests) == 6


def test_images_of_names_of_their_own_are_not_fetched(served: Served, tmp_path: Path) -> None:
    content = caption_files()[CAPTIONS_ZIP]
    (tmp_path / "coco").mkdir()
    for n, image in enumerate(content["images"]):
        image["file_name"] = f"photo {n}.jpg"
        (tmp_path / "coco" / f"photo {n}.jpg").write_bytes(jpeg(image["id"]))
    (tmp_path / "coco" / "captions_mine.json").write_text(json.dumps(content))
    data = data_in(tmp_path)
    run(served, "coco-captions", data)
    assert served.server.paths() == []
    prepared = prepare("captioning", data, tmp_path / "out")
    assert {name.partition(" ")[0] for name in prepared.image_names.values()} == {"photo"}


# What was fetched is noted and checked


def test_the_manifest_has_every_file_with_size_and_checksum(served: Served, tmp_path: Path) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    files = contents(tmp_path / "vqa")
    noted = read_record(FetchManifest, tmp_path / "vqa.json").files
    assert set(noted) == set(files)
    for name, entry in noted.items():
        assert entry.size_bytes == len(files[name])
        assert entry.sha256 == hashlib.sha256(files[name]).hexdigest()
        assert entry.url.startswith(served.server.url)


@pytest.mark.parametrize("damage", ["changed", "same size", "lost"])
@pytest.mark.parametrize("folder", ["val2014", "annotations"])
def test_files_that_were_damaged_later_are_fetched_again(
    folder: str, damage: str, served: Served, tmp_path: Path
) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    before = contents(tmp_path)
    path = next((tmp_path / "vqa" / folder).iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:-1] + (b"" if damage == "changed" else b"\0"))
    if damage == "lost":
        path.unlink()
    run(served, "vqa-v2", data_in(tmp_path))
    assert contents(tmp_path) == before


def test_another_image_under_the_same_address_is_refused(served: Served, tmp_path: Path) -> None:
    run(served, "coco-captions", data_in(tmp_path))
    path = next((tmp_path / "coco" / "val2014").iterdir())
    path.unlink()
    served.server.files[f"/val2014/{path.name}"] = jpeg(250)
    message = one_line(served, "coco-captions", data_in(tmp_path))
    assert f"{path.name}: its SHA-256 is " in message
    assert "as on record" in message
    assert not path.exists()


def test_a_cut_archive_is_resumed_by_the_next_fetch(served: Served, tmp_path: Path) -> None:
    served.server.faults[CAPTIONS_ZIP] = [Fault(cut_after=500)]
    message = one_line(served, "coco-captions", data_in(tmp_path), n_attempts=1)
    assert "run the command again" in message
    run(served, "coco-captions", data_in(tmp_path))
    assert served.server.asked[1] == (CAPTIONS_ZIP, "bytes=500-")


KILLED = """
import os, signal, sys
from m1.workloads import archives, fetch
from m1.workloads.archives import Archive

archives.VQA_V2 = {on_record}
{patch}
from m1.cli import app
app(sys.argv[1:])
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
MOMENTS = {
    "unpacking": f"fetch.unpack = lambda *_: {KILL}",
    "after unpacking": f"fetch.Manifest.note = lambda *_: {KILL}",
    "an image": f"fetch.image_bytes = lambda *_: {KILL}",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_left_of_a_fetch_that_was_killed(
    moment: str, served: Served, tmp_path: Path
) -> None:
    # The checksums of the archives here are on record in this process only.
    program = KILLED.format(on_record=archives.VQA_V2, patch=MOMENTS[moment])
    arguments = ["fetch", "vqa-v2", "--params", str(params_file(served, tmp_path))]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    n_asked = len(served.server.asked)
    run(served, "vqa-v2", data_in(tmp_path, n=6))
    assert QUESTIONS_ZIP not in served.server.paths()[n_asked:]
    assert {path.name for path in (tmp_path / "vqa").iterdir()} == {"annotations", "val2014"}
    files = {*contents(tmp_path / "vqa")}
    assert all(Path(name).suffix in {".json", ".jpg"} for name in files)


def test_images_fetched_before_a_failure_are_not_fetched_again(
    served: Served, tmp_path: Path
) -> None:
    data = data_in(tmp_path, n=14)
    served.server.faults[image_path(7)] = [Fault(status=404)]
    one_line(served, "vqa-v2", data, n_parallel=1)
    noted = read_record(FetchManifest, tmp_path / "vqa.json").files
    here = [name for name in noted if name.startswith("val2014/")]
    assert len(here) == len(image_names(tmp_path / "vqa")) == 6
    n_asked = len(served.server.asked)
    run(served, "vqa-v2", data)
    assert served.server.paths()[n_asked:] == [image_path(7)]


def test_prepare_refuses_files_that_changed_since_the_fetch(served: Served, tmp_path: Path) -> None:
    data = data_in(tmp_path)
    run(served, "vqa-v2", data)
    for folder in ("val2014", "annotations"):
        path = next((tmp_path / "vqa" / folder).iterdir())
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        with pytest.raises(UserError, match=f"{path.name}: not as .*vqa.json has it; run `m1 fet"):
            prepare("qa", data, tmp_path / "out")
        path.write_bytes(content)
    prepare("qa", data, tmp_path / "out")


def test_a_manifest_alone_brings_back_the_same_files(served: Served, tmp_path: Path) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    before = contents(tmp_path)
    shutil.rmtree(tmp_path / "vqa")
    run(served, "vqa-v2", data_in(tmp_path))
    assert contents(tmp_path) == before


def test_images_are_fetched_into_a_folder_of_the_users_own(served: Served, tmp_path: Path) -> None:
    data = data_in(tmp_path)
    mine = data.model_copy(
        update={"qa": data.qa.model_copy(update={"root": str(tmp_path / "mine")})}
    )
    run(served, "vqa-v2", mine)
    files = contents(tmp_path / "mine")
    assert "manifest.json" in files
    prepare("qa", mine, tmp_path / "out")
    run(served, "vqa-v2", mine)
    assert contents(tmp_path / "mine") == files


# A mirror that asks who one is


def test_credentials_and_tokens_are_sent_but_not_shown(served: Served, tmp_path: Path) -> None:
    host, n = served.server.url.partition("://")[2], 6
    for path in list(served.server.files):
        served.server.files[f"{path}?token=secret"] = served.server.files.pop(path)
    served.server.faults[f"{CAPTIONS_ZIP}?token=secret"] = [Fault(status=503)]
    private = f"http://user:secret@{host}/?token=secret"
    shown = run(served, "coco-captions", data_in(tmp_path, n), coco_url=private)
    manifest = (tmp_path / "coco.json").read_text()
    assert f'"url": "{served.server.url}{CAPTIONS_ZIP}"' in manifest
    assert f"{CAPTIONS_ZIP}: the server answers 503 Service Unavailable; attempt 2 of 2" in shown
    failed = one_line(served, "coco-captions", data_in(tmp_path, n=10), coco_url=f"{private}2")
    assert failed.startswith(f"{served.server.url}/val2014/")
    assert "secret" not in manifest + shown + failed


def test_an_earlier_manifest_loses_its_secrets(served: Served, tmp_path: Path) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    path = tmp_path / "vqa.json"
    before = path.read_text()
    path.write_text(before.replace("http://", "http://user:secret@"))
    run(served, "vqa-v2", data_in(tmp_path))
    assert path.read_text() == before


@pytest.mark.parametrize("proxy", ["foo://user:secret@host", "http://user:secret/secret@host"])
def test_a_proxy_that_cannot_be_used_keeps_its_secrets(
    proxy: str, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    message = one_line(served, "vqa-v2", data_in(tmp_path))
    assert message.startswith("a proxy in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY)")
    assert "secret" not in message


# Bad input: one line, nothing half-written, what was there before intact


def repeat(files: dict[str, Any], path: str, key: str) -> dict[str, Any]:
    return {path: files[path] | {key: [*files[path][key], files[path][key][0]]}}


def without_answers() -> dict[str, Any]:
    annotations = vqa_files()[ANNOTATIONS_ZIP]["annotations"]
    return {ANNOTATIONS_ZIP: {"annotations": [annotations[0] | {"answers": []}, *annotations[1:]]}}


def nowhere() -> dict[str, Any]:
    annotations = vqa_files()[ANNOTATIONS_ZIP]["annotations"]
    elsewhere = annotations[0] | {"question_id": 99_000}
    return {ANNOTATIONS_ZIP: {"annotations": [*annotations, elsewhere]}}


BAD_ANNOTATIONS = {
    "a question twice": (
        repeat(vqa_files(), QUESTIONS_ZIP, "questions"),
        "question 1000 occurs more than once",
    ),
    "no answers": (without_answers(), "question 1000 has no answers"),
    "an annotation that points nowhere": (nowhere(), "it annotates question 99000, which"),
    "another file": ({QUESTIONS_ZIP: {"images": []}}, "questions is missing"),
}


@pytest.mark.parametrize("case", BAD_ANNOTATIONS)
def test_bad_annotations(case: str, served: Served, tmp_path: Path) -> None:
    files, expected = BAD_ANNOTATIONS[case]
    for path, content in files.items():
        served.put(path, content)
    assert expected in one_line(served, "vqa-v2", data_in(tmp_path))
    assert not [path for path in served.server.paths() if path.startswith("/val2014")]


GOOD_ZIP = zipped((MEMBERS[CAPTIONS_ZIP], json.dumps(caption_files()[CAPTIONS_ZIP]).encode()))


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (GOOD_ZIP[:-100], "annotations_trainval2014.zip: not a readable zip archive"),
        (b"<html>Sign in</html>", "annotations_trainval2014.zip: not a readable zip archive"),
        (zipped(("../../evil.json", b"{}")), "../../evil.json points out of the archive"),
    ],
)
def test_bad_archives(packed: bytes, expected: str, served: Served, tmp_path: Path) -> None:
    served.put_archive(CAPTIONS_ZIP, packed)
    assert expected in one_line(served, "coco-captions", data_in(tmp_path))
    assert contents(tmp_path) == {}


def test_an_archive_with_a_wrong_checksum(served: Served, tmp_path: Path) -> None:
    run(served, "vqa-v2", data_in(tmp_path))
    before = contents(tmp_path)
    served.server.files[CAPTIONS_ZIP] = GOOD_ZIP + b"\0"
    message = one_line(served, "coco-captions", data_in(tmp_path))
    assert message.startswith(f"{served.server.url}{CAPTIONS_ZIP}: its SHA-256 is ")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (None, "the server answers 404 Not Found; fix the address in `fetch`, or the annotations"),
        (b"<html>Sign in</html>", "no JPEG, PNG, WebP or GIF"),
        (jpeg(1)[:300], "not a readable image"),
        (png_claiming(20_000), "decompression bomb"),
    ],
)
def test_bad_images(image: bytes | None, expected: str, served: Served, tmp_path: Path) -> None:
    data = data_in(tmp_path, n=14)
    run(served, "vqa-v2", data_in(tmp_path, n=1))
    before = contents(tmp_path / "vqa")
    bad = next(i for i in range(1, 8) if f"val2014/{Path(image_path(i)).name}" not in before)
    del served.server.files[image_path(bad)]
    if image is not None:
        served.server.files[image_path(bad)] = image
    message = one_line(served, "vqa-v2", data)
    assert message.startswith(f"{served.server.url}{image_path(bad)}: ")
    assert expected in message
    after = contents(tmp_path / "vqa")
    assert not [name for name in after if ".part" in name or name.endswith(image_path(bad))]
    assert after.items() >= before.items()


def test_more_requests_than_there_are(served: Served, tmp_path: Path) -> None:
    message = one_line(served, "vqa-v2", data_in(tmp_path, n=15))
    assert message.startswith("data.qa.n_requests = 15: the dataset has 14 requests")


def test_a_root_that_is_a_file(served: Served, tmp_path: Path) -> None:
    (tmp_path / "vqa").write_text("mine")
    message = one_line(served, "vqa-v2", data_in(tmp_path))
    assert message == f"{tmp_path / 'vqa'}: not a folder; set data.qa.root to where to fetch to"
    assert served.server.asked == []


def test_a_broken_manifest(served: Served, tmp_path: Path) -> None:
    (tmp_path / "vqa.json").write_text("{}")
    message = one_line(served, "vqa-v2", data_in(tmp_path))
    assert message == f"{tmp_path / 'vqa.json'}: files is missing"


@pytest.mark.parametrize("number", [28, 30, 13])
def test_a_folder_that_takes_no_more(
    number: int, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(served, "vqa-v2", data_in(tmp_path, n=1))
    before = contents(tmp_path)
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if Path(target).parent.name == "val2014":
            raise OSError(number, os.strerror(number), str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    message = one_line(served, "vqa-v2", data_in(tmp_path))
    assert message.startswith(str(tmp_path / "vqa" / "val2014"))
    assert f": cannot be written ({os.strerror(number)}): make room or give write" in message
    assert contents(tmp_path) == before


# Real files


def test_real_photographs_and_captions(served: Served, tmp_path: Path, cases: Cases) -> None:
    captions = json.loads((cases.photos / "captions.json").read_text())
    served.put(CAPTIONS_ZIP, captions)
    for photo in cases.photos.glob("*.jpg"):
        served.server.files[image_path(int(photo.stem))] = photo.read_bytes()
    run(served, "coco-captions", data_in(tmp_path))
    prepared = prepare("captioning", data_in(tmp_path), tmp_path / "out")
    for request in prepared.requests:
        photo = cases.photos / f"{request.image_id}.jpg"
        assert (tmp_path / "out" / request.image).read_bytes() == photo.read_bytes()


def test_real_questions(served: Served, tmp_path: Path, cases: Cases) -> None:
    questions = json.loads(cases.questions.read_text())
    served.put(QUESTIONS_ZIP, questions)
    served.put(ANNOTATIONS_ZIP, json.loads(cases.annotations.read_text()))
    for question in questions["questions"]:
        served.server.files[image_path(question["image_id"])] = jpeg(question["image_id"])
    run(served, "vqa-v2", data_in(tmp_path, n=40))
    prepared = prepare("qa", data_in(tmp_path, n=40), tmp_path / "out")
    texts = {f"qa-{q['question_id']}": q["question"] for q in questions["questions"]}
    assert len(prepared.requests) == 40
    assert all(r.prompt.startswith(texts[r.request_id]) for r in prepared.requests)
    assert len(image_names(tmp_path / "vqa")) == len({r.image_id for r in prepared.requests})


# What is shown


def test_without_a_terminal_there_is_a_line_for_each_step(served: Served, tmp_path: Path) -> None:
    assert run(served, "coco-captions", data_in(tmp_path)).splitlines() == [
        "annotations_trainval2014.zip: fetching",
        "captions_val2014.json: here, 0.0 MB",
        "images: fetching 6",
        f"images: 6 here, 6 of them new, in {tmp_path / 'coco'}",
    ]


def test_in_a_terminal_there_are_bars(served: Served, tmp_path: Path) -> None:
    shown = run(served, "coco-captions", data_in(tmp_path), terminal=True)
    assert "6 of 6" in shown
    assert "fetching" not in shown


# The command


def params_file(served: Served, folder: Path, **changes: Any) -> Path:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["fetch"] = json.loads(served.params(**changes).model_dump_json())
    raw["data"]["qa"] |= {"root": str(folder / "vqa.json"), "n_requests": 6}
    raw["data"]["captioning"] |= {"root": str(folder / "coco.json"), "n_requests": 6}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    return folder / "params.yaml"


def test_the_command_fetches_whatever_source_is_chosen(served: Served, tmp_path: Path) -> None:
    command = ["fetch", "coco-captions", "--params", str(params_file(served, tmp_path))]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert len(image_names(tmp_path / "coco")) == 6


def test_the_command_fails_with_one_line(served: Served, tmp_path: Path) -> None:
    served.server.files.pop(QUESTIONS_ZIP)
    command = ["fetch", "vqa-v2", "--params", str(params_file(served, tmp_path))]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: {served.server.url}{QUESTIONS_ZIP}: the server answers 404")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGHUP, "SIGHUP")])
def test_an_interrupt_leaves_no_half_file(
    number: signal.Signals, name: str, served: Served, tmp_path: Path
) -> None:
    for path, content in vqa_files().items():
        (tmp_path / "vqa").mkdir(exist_ok=True)
        (tmp_path / "vqa" / MEMBERS[path]).write_text(json.dumps(content))
    for image_id in range(1, 8):
        stall = Fault(cut_after=300, stall_s=2.0)
        served.server.faults[image_path(image_id)] = [] if image_id == 1 else [stall]
    before = contents(tmp_path)
    params = params_file(served, tmp_path)
    command = [sys.executable, "-c", "from m1.cli import app; app()", "fetch", "vqa-v2"]
    process = subprocess.Popen(
        [*command, "--params", str(params)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert stderr.splitlines()[-1] == f"stopped by {name}; the same command resumes"
    assert "Traceback" not in stderr
    after = contents(tmp_path)
    assert after.items() > before.items()
    assert {*after} - {*before} <= {
        "params.yaml",
        "vqa.json",
        "vqa/val2014/COCO_val2014_000000000001.jpg",
    }


def test_the_help_says_what_is_fetched_and_what_to_do_next() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["fetch", "--help"]).output
    for word in ("vqa-v2", "coco-captions", "n_requests", "root", "dvc exp run -S"):
        assert word in shown
