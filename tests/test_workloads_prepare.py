import io
import json
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import yaml
from PIL import Image
from reference_cases import Cases

from m1.errors import UserError
from m1.files import read_record
from m1.params import CaptioningData, DataParams, SceneData, WorkloadData
from m1.schemas.requests import WORKLOADS, RequestSet, Sample, Workload
from m1.workloads import scene_dataset, scene_language, scenes
from m1.workloads.images import resized
from m1.workloads.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]


def make_data(n_images: int = 8, n_requests: int = 5, seed: int = 1, **changes: Any) -> DataParams:
    """Settings for scenes; `qa` and `captioning` change those of one workload."""
    common = {"source": "scenes", "root": "unused", "n_requests": n_requests, "prompt": None}
    captioning = common | {"split": None} | changes.pop("captioning", {})
    return DataParams(
        seed=seed,
        scenes=SceneData(n_images=n_images, questions_per_image=changes.pop("per_image", 1)),
        qa=WorkloadData(**common | changes.pop("qa", {})),
        captioning=CaptioningData(**captioning),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden files included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def one_line(workload: Workload, data: DataParams, out: Path) -> str:
    with pytest.raises(UserError) as caught:
        prepare(workload, data, out)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_null_takes_all_requests(tmp_path: Path) -> None:
    all_of_them = prepare("qa", make_data(qa={"n_requests": None}), tmp_path / "all")
    assert len(all_of_them.requests) == 8
    assert all_of_them == prepare("qa", make_data(n_requests=8), tmp_path / "eight")


# Scenes


class Generated:
    """The output of the generator, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.pictures = self._recorded(patch, scene_dataset, "render")
        self.scenes = self._recorded(patch, scene_dataset, "draw_scene")
        self.questions = self._recorded(patch, scene_language, "ask")
        self.answers = self._recorded(patch, scene_language, "annotator_answers")

    def _recorded(self, patch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
        made: list[Any] = []
        function = getattr(module, name)

        def record(*args: Any) -> Any:
            made.append(function(*args))
            return made[-1]

        patch.setattr(module, name, record)
        return made


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> Generated:
    return Generated(monkeypatch)


def test_qa_requests_equal_the_generated_ones(tmp_path: Path, generated: Generated) -> None:
    data = make_data(n_images=40, n_requests=40)
    prepared = prepare("qa", data, tmp_path / "qa")
    assert read_record(RequestSet, tmp_path / "qa" / "requests.json") == prepared
    assert [r.prompt for r in prepared.requests] == [q.text for q in generated.questions]
    assert [r.kind for r in prepared.requests] == [q.kind for q in generated.questions]
    assert [r.references for r in prepared.requests] == generated.answers
    assert {len(r.references) for r in prepared.requests} == {10}
    assert [r.request_id for r in prepared.requests] == [f"qa-{i}000" for i in range(1, 41)]
    assert (prepared.workload, prepared.source, prepared.corpus) == ("qa", "scenes", {})


def test_captioning_requests_equal_the_generated_ones(tmp_path: Path, generated: Generated) -> None:
    prepared = prepare("captioning", make_data(n_images=40, n_requests=12), tmp_path / "out")
    said = {f"{i:012d}": scene_language.captions(s) for i, s in enumerate(generated.scenes, 1)}
    assert prepared.corpus == said
    assert len(prepared.requests) == 12
    assert all(r.references == said[r.image_id] for r in prepared.requests)
    assert {r.prompt for r in prepared.requests} == {"Describe the image."}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_pictures_equal_the_generated_ones(
    workload: Workload, tmp_path: Path, generated: Generated
) -> None:
    prepared = prepare(workload, make_data(), tmp_path / "out")
    for request in prepared.requests:
        with Image.open(tmp_path / "out" / request.image) as picture:
            expected = generated.pictures[int(request.image_id) - 1]
            assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_scenes_are_held_out_from_training_and_differ(tmp_path: Path, generated: Generated) -> None:
    prepare("qa", make_data(n_images=100), tmp_path / "out")
    assert {scene.split for scene in generated.scenes} == {"evaluation"}
    assert len({scene_language.captions(scene) for scene in generated.scenes}) == 100


def test_a_scene_drawn_twice_is_used_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    first, second = (scenes.draw_scene(rng, "evaluation") for _ in range(2))
    drawn = iter([first, first, second])
    monkeypatch.setattr(scene_dataset, "draw_scene", lambda *_: next(drawn))
    prepared = prepare("captioning", make_data(n_images=2, n_requests=2), tmp_path / "out")
    assert [r.references for r in prepared.requests] == [
        scene_language.captions(first),
        scene_language.captions(second),
    ]


def test_several_questions_about_a_scene_differ(tmp_path: Path) -> None:
    prepared = prepare("qa", make_data(n_images=3, n_requests=60, per_image=20), tmp_path / "out")
    assert len({(r.image_id, r.prompt) for r in prepared.requests}) == 60
    assert prepared.requests[21].request_id == "qa-2001"
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3


def test_more_questions_or_scenes_leave_the_others_as_they_are(tmp_path: Path) -> None:
    few = prepare("captioning", make_data(n_images=5, n_requests=5), tmp_path / "few")
    more = prepare(
        "captioning", make_data(n_images=6, n_requests=6, per_image=2), tmp_path / "more"
    )
    assert more.requests[:5] == few.requests
    images = contents(tmp_path / "few" / "images")
    assert images.items() < contents(tmp_path / "more" / "images").items()


def test_more_questions_than_a_scene_has(tmp_path: Path) -> None:
    message = one_line("qa", make_data(n_images=1, per_image=900), tmp_path / "out")
    assert message.startswith("data.scenes.questions_per_image = 900: a scene has only about ")


# The folder


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_folder_is_the_same_byte_for_byte(workload: Workload, tmp_path: Path) -> None:
    sets = [
        prepare(workload, make_data(seed=s), tmp_path / str(i)) for i, s in enumerate((3, 3, 4))
    ]
    first, again, other = (contents(tmp_path / str(i)) for i in range(3))
    assert first == again
    assert sets[0].fingerprint == sets[1].fingerprint != sets[2].fingerprint
    assert first["requests.json"] != other["requests.json"]


def test_only_the_images_used_are_copied(tmp_path: Path) -> None:
    prepared = prepare("qa", make_data(n_images=20, n_requests=5), tmp_path / "out")
    used = {request.image for request in prepared.requests}
    assert len(used) == 5
    assert set(contents(tmp_path / "out")) == {"requests.json", *used}
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_samples_keep_the_order_and_larger_ones_contain_smaller_ones(tmp_path: Path) -> None:
    def ids(n: int, seed: int = 1) -> list[str]:
        data = make_data(n_images=20, n_requests=n, seed=seed)
        return [r.image_id for r in prepare("qa", data, tmp_path / "out").requests]

    five, ten = ids(5), ids(10)
    assert five == sorted(five)
    assert ten == sorted(ten)
    assert set(five) < set(ten)
    assert five != ids(5, seed=2)
    assert ids(20) == [f"{i:012d}" for i in range(1, 21)]


def test_the_fingerprint_covers_requests_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    before = prepare("qa", data, tmp_path / "out")
    other = make_data(qa={"prompt": "{question} "})
    assert prepare("qa", other, tmp_path / "out").fingerprint != before.fingerprint
    monkeypatch.setattr(scenes, "PIXEL_NOISE", 5.0)
    after = prepare("qa", data, tmp_path / "out")
    assert after.requests == before.requests
    assert after.fingerprint != before.fingerprint


# Photographs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six JPEGs of noise with a caption each, in the layout of COCO."""
    root, rng = tmp_path / "photos", np.random.default_rng(0)
    root.mkdir()
    for image_id in range(1, 7):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"COCO_val2014_{image_id:012d}.jpg")
    captions = {
        "images": [{"id": i} for i in range(1, 7)],
        "annotations": [{"id": i, "image_id": i, "caption": f"Noise {i}."} for i in range(1, 7)],
    }
    (root / "captions_val2014.json").write_text(json.dumps(captions))
    return root


def photo_data(root: Path, n: int = 3) -> DataParams:
    chosen = {"source": "coco-captions", "root": str(root), "n_requests": n}
    return make_data(captioning=chosen)


def test_photographs_are_copied_as_they_are(photos: Path, tmp_path: Path) -> None:
    prepared = prepare("captioning", photo_data(photos), tmp_path / "out")
    assert prepared.source == "coco-captions"
    assert len(prepared.requests) == 3
    assert len(prepared.corpus) == 6
    for request in prepared.requests:
        assert request.image == f"images/{request.image_id}.jpg"
        copied = (tmp_path / "out" / request.image).read_bytes()
        assert copied == (photos / f"COCO_val2014_{request.image_id}.jpg").read_bytes()


@pytest.mark.parametrize(
    ("kind", "ending", "becomes"),
    [("JPEG", ".jpg", "JPEG"), ("PNG", ".png", "PNG"), ("WEBP", ".webp", "WEBP"),
     ("GIF", ".png", "PNG")],
)  # fmt: skip
def test_resized_images_have_the_size_and_stay_as_costly_to_open(
    kind: str, ending: str, becomes: str, tmp_path: Path
) -> None:
    line = {"image": "photo", "prompt": "What is it?", "references": ["a square"]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line))
    picture = Image.new("RGB", (64, 48), "white")
    picture.paste("black", (0, 0, 32, 48))
    picture.save(tmp_path / "photo", kind)
    chosen = {"source": "jsonl", "root": str(tmp_path / "mine.jsonl"), "n_requests": 1}
    plain = prepare("qa", make_data(qa=chosen), tmp_path / "plain")
    data = make_data(qa=chosen | {"resize_to": (50, 90)})
    prepared = prepare("qa", data, tmp_path / "out")
    assert prepared.requests[0].image == f"images/image-1{ending}"
    with Image.open(tmp_path / "out" / prepared.requests[0].image) as image:
        assert (image.size, image.format, image.mode) == ((50, 90), becomes, "RGB")
        left, right = image.getpixel((5, 80)), image.getpixel((45, 5))
    assert max(left) < 10
    assert min(right) > 245
    assert prepared.fingerprint != plain.fingerprint
    assert prepared.resize_to == Sample.of(prepared).resize_to == (50, 90)
    assert plain.resize_to is None


def test_resized_images_are_upright(tmp_path: Path) -> None:
    """Otherwise the camera's orientation tag is lost, and the picture is shown on its side."""
    content = io.BytesIO()
    noted = Image.Exif()
    noted[0x0112] = 3  # turned by half
    picture = Image.new("RGB", (64, 48), "white")
    picture.paste("black", (0, 0, 64, 24))
    picture.save(content, "JPEG", exif=noted)
    made, ending = resized(content.getvalue(), (32, 32))
    with Image.open(io.BytesIO(made)) as image:
        assert image.getpixel((16, 2)) > (245, 245, 245)
        assert ending == ".jpg"


def test_generated_scenes_can_be_resized(tmp_path: Path) -> None:
    data = make_data(qa={"resize_to": (160, 90)})
    prepared = prepare("qa", data, tmp_path / "qa")
    for request in prepared.requests:
        with Image.open(tmp_path / "qa" / request.image) as picture:
            assert (picture.size, picture.format) == ((160, 90), "PNG")
    same = prepare("qa", make_data(), tmp_path / "plain")
    assert same.requests == prepared.requests
    assert prepare("captioning", data, tmp_path / "captioning").resize_to is None


def test_real_photographs_can_be_prepared(tmp_path: Path, cases: Cases) -> None:
    prepared = prepare("captioning", photo_data(cases.photos, n=6), tmp_path / "out")
    assert all((tmp_path / "out" / request.image).is_file() for request in prepared.requests)
    assert {len(request.references) for request in prepared.requests} <= {5, 6, 7}


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png_claiming(side_px: int) -> bytes:
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no JPEG, PNG, WebP or GIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no JPEG, PNG"),
        (png_claiming(10_000), "decompression bomb"),
        (png_claiming(60_000), "decompression bomb"),
        (png_claiming(64), "not a readable image"),
        (None, "not a readable image"),
    ],
)
def test_an_image_that_cannot_be_decoded(
    content: bytes | None, reason: str, photos: Path, tmp_path: Path
) -> None:
    path = photos / "COCO_val2014_000000000003.jpg"
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    message = one_line("captioning", photo_data(photos, n=6), tmp_path / "out")
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert not (tmp_path / "out").exists()


# Failures


def test_a_failure_leaves_the_earlier_folder_intact(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "parent" / "out"
    prepare("captioning", photo_data(photos, n=6), out)
    before = contents(out.parent)
    one_line("captioning", photo_data(photos, n=7), out)
    (photos / "COCO_val2014_000000000006.jpg").write_bytes(b"broken")
    one_line("captioning", photo_data(photos, n=6), out)
    assert contents(out.parent) == before
    assert list(out.parent.iterdir()) == [out]


def test_a_failed_swap_puts_the_earlier_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "parent" / "out"
    prepare("qa", make_data(), out)
    before = contents(out.parent)
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    message = one_line("qa", make_data(seed=2), out)
    assert message.startswith(f"{out}: cannot be written (No space left on device)")
    assert contents(out.parent) == before


def test_an_earlier_folder_is_replaced_whole(tmp_path: Path) -> None:
    prepare("qa", make_data(seed=1), tmp_path / "out")
    (tmp_path / "out" / "images" / "left.png").touch()
    prepare("qa", make_data(seed=2), tmp_path / "out")
    prepare("qa", make_data(seed=2), tmp_path / "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    assert "holds other files than requests" in one_line("qa", make_data(), tmp_path)
    assert "a file, not a folder" in one_line("qa", make_data(), tmp_path / "thesis.tex")
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.tex"]
    (tmp_path / "empty").mkdir()
    prepare("qa", make_data(), tmp_path / "empty")


@pytest.mark.parametrize(
    ("workload", "changes", "expected"),
    [
        (
            "qa",
            {"qa": {"source": "coco-captions", "root": "."}},
            "data.qa.source = 'coco-captions': qa takes 'scenes', 'vqa-v2' or 'jsonl'",
        ),
        (
            "captioning",
            {"captioning": {"source": "vqa-v2", "root": "."}},
            "data.captioning.source = 'vqa-v2': captioning takes 'scenes', 'coco-captions' or "
            "'jsonl'",
        ),
        (
            "qa",
            {"qa": {"source": "jsonl", "root": "no/where"}},
            "no/where: no such file; set root in params.yaml to the .jsonl file",
        ),
        (
            "qa",
            {"qa": {"source": "vqa-v2", "root": "no/where.json"}},
            "no/where: no such folder; run `m1 fetch vqa-v2`, or set root in params.yaml to the "
            "dataset's folder",
        ),
        (
            "qa",
            {"qa": {"source": "vqa-v2", "root": "no/where"}},
            "no/where: no such folder; set root in params.yaml to the dataset's folder",
        ),
        (
            "qa",
            {"qa": {"source": "vqa-v2", "root": ".", "annotations": ["a.json"]}},
            "data.qa.annotations = [a.json]: vqa-v2 takes [file of questions, file of answers], or "
            "null",
        ),
        (
            "captioning",
            {"captioning": {"source": "coco-captions", "root": ".", "annotations": "../a.json"}},
            "data.captioning.annotations = ../a.json: name a file in the folder of the dataset",
        ),
        (
            "qa",
            {"qa": {"prompt": "Answer."}},
            "data.qa.prompt = 'Answer.': the question is not in it; write {question} where it "
            "belongs",
        ),
        (
            "captioning",
            {"captioning": {"n_requests": 9}},
            "data.captioning.n_requests = 9: the dataset has 8 requests; set it to 8 or fewer, or "
            "to null for all",
        ),
    ],
)
def test_mistaken_settings(
    workload: Workload, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert one_line(workload, make_data(**changes), tmp_path / "out") == expected
    assert list(tmp_path.iterdir()) == []


# Command line


def run_stage(
    folder: Path, data: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"data": data}))
    words = ["--params", str(folder / "params.yaml"), "--sample", str(folder / "sample.json")]
    return forked.run(forked.Program("stages.prepare", [*words, *options], ROOT))


def test_the_command_says_in_one_line_what_it_prepared(tmp_path: Path) -> None:
    data = json.loads(make_data(n_images=4, per_image=2, n_requests=8).model_dump_json())
    data["captioning"] |= {"n_requests": 4, "resize_to": [48, 32]}
    run = run_stage(tmp_path, data, "--workload", "captioning", "--out", str(tmp_path / "out"))
    assert run.stdout.startswith(
        "captioning: 4 requests about 4 images, made 48 x 32 pixels, from scenes in "
    )
    run = run_stage(tmp_path, data, "--workload", "qa", "--out", str(tmp_path / "out"))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"qa: 8 requests about 4 images from scenes in {tmp_path / 'out'}\n"
    prepared = read_record(RequestSet, tmp_path / "out" / "requests.json")
    sample = read_record(Sample, tmp_path / "sample.json")
    assert sample.request_ids == tuple(request.request_id for request in prepared.requests)
    assert (sample.source, sample.fingerprint) == ("scenes", prepared.fingerprint)
    assert len(sample.request_ids) == 8


def test_the_command_fails_with_one_line(tmp_path: Path) -> None:
    data = json.loads(make_data(n_requests=99).model_dump_json())
    run = run_stage(tmp_path, data, "--workload", "captioning", "--out", str(tmp_path / "out"))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "error: data.captioning.n_requests = 99: the dataset has 8 requests; set it to 8 or "
        "fewer, or to null for all\n"
    )
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "sample.json").exists()
