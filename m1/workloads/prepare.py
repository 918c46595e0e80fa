"""The requests of one workload: read or generated, sampled, written with the images they use."""

import contextlib
import hashlib
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from m1.errors import UserError
from m1.files import write_record
from m1.params import DataParams, WorkloadData
from m1.schemas.base import describe
from m1.schemas.requests import Request, RequestSet, Workload
from m1.workloads.coco_captions import Corpus, read_coco_captions
from m1.workloads.scene_dataset import write_scene_dataset
from m1.workloads.vqa_v2 import read_vqa_v2

REAL_SOURCES = {"qa": "vqa-v2", "captioning": "coco-captions"}
IMAGE_FORMATS = ("JPEG", "PNG")
REQUESTS_FILE = "requests.json"


def prepare(workload: Workload, data: DataParams, out: Path) -> RequestSet:
    """Write a workload's requests and their images to `out`, in the place of what was there.

    Raises:
        UserError: what is wrong and how to mend it; `out` is then as it was before.
    """
    chosen = data.qa if workload == "qa" else data.captioning
    _check_choice(workload, chosen)
    with _dataset(chosen, data) as root, _folder_written_whole(out) as folder:
        found, corpus = _read(workload, root, chosen.prompt)
        sample = _sample(workload, found, chosen.n_requests, data.seed)
        image_digests = _copy_images(sample, root, folder)
        requests = tuple(_with_copied_image(request) for request in sample)
        request_set = RequestSet(
            workload=workload,
            source=chosen.source,
            fingerprint=_fingerprint(requests, image_digests),
            requests=requests,
            corpus=corpus,
        )
        write_record(request_set, folder / REQUESTS_FILE)
    return request_set


def _check_choice(workload: Workload, chosen: WorkloadData) -> None:
    key, real = f"data.{workload}", REAL_SOURCES[workload]
    if chosen.source not in ("scenes", real):
        raise UserError(f"{key}.source = {chosen.source!r}: {workload} needs 'scenes' or {real!r}")
    if chosen.source == real and chosen.root is None:
        raise UserError(f"{key}.root is null: give the folder of {real} in its official layout")
    if workload == "qa" and "{question}" not in chosen.prompt:
        raise UserError(
            f"{key}.prompt = {chosen.prompt!r}: the question is not in it; write {{question}} "
            "where it belongs"
        )


@contextlib.contextmanager
def _dataset(chosen: WorkloadData, data: DataParams) -> Iterator[Path]:
    """The folder of the dataset; scenes are written to one that is gone afterwards."""
    if chosen.root is not None and chosen.source != "scenes":
        if not Path(chosen.root).is_dir():
            raise UserError(f"{chosen.root}: no such folder; set the dataset's in params.yaml")
        yield Path(chosen.root)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_scene_dataset(Path(folder), data.seed, data.scenes)
        yield Path(folder)


def _read(workload: Workload, root: Path, prompt: str) -> tuple[list[Request], Corpus]:
    return (read_vqa_v2(root, prompt), {}) if workload == "qa" else read_coco_captions(root, prompt)


def _sample(workload: Workload, found: list[Request], n: int, seed: int) -> list[Request]:
    """Some of the requests in the order of the dataset; a larger sample contains a smaller one."""
    if n > len(found):
        raise UserError(
            f"data.{workload}.n_requests = {n}: the dataset has {len(found)} requests; ask for "
            "that many or fewer"
        )
    chosen = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[i] for i in sorted(chosen)]


def _copied_image(request: Request) -> str:
    return f"images/{request.image_id}{Path(request.image).suffix.lower()}"


def _with_copied_image(request: Request) -> Request:
    return request.model_copy(update={"image": _copied_image(request)})


def _copy_images(requests: list[Request], root: Path, folder: Path) -> list[bytes]:
    """Copy each image once, after seeing that it can be decoded; return their digests."""
    (folder / "images").mkdir()
    copies = {_copied_image(request): root / request.image for request in requests}
    digests = []
    for copy, source in copies.items():
        content = _image_bytes(source)
        (folder / copy).write_bytes(content)
        digests.append(hashlib.sha256(content).digest())
    return digests


def _image_bytes(path: Path) -> bytes:
    """The bytes of an image that can be decoded."""
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            # Pillow warns before it decodes a picture of absurd size: refuse it there.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Other formats run larger decoders, Ghostscript even, on files we did not make.
            Image.open(io.BytesIO(content), formats=IMAGE_FORMATS).load()
    except UnidentifiedImageError:
        raise UserError(f"{path}: neither JPEG nor PNG; fetch it again or convert it") from None
    except Exception as error:  # broken files make decoders raise almost anything
        reason = getattr(error, "strerror", None) or describe(error)
        raise UserError(f"{path}: not a readable image ({reason}); fetch it again") from None
    return content


def _fingerprint(requests: tuple[Request, ...], image_digests: list[bytes]) -> str:
    whole = hashlib.sha256()
    for request in requests:
        whole.update(hashlib.sha256(request.model_dump_json().encode()).digest())
    for digest in image_digests:
        whole.update(digest)
    return whole.hexdigest()


@contextlib.contextmanager
def _folder_written_whole(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of `out` only if nothing went wrong."""
    _check_replaceable(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as beside:
            new, old = Path(beside) / "new", Path(beside) / "old"
            new.mkdir()
            yield new
            _swap(new, out, old)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror or error})") from None


def _check_replaceable(out: Path) -> None:
    """See that what would be replaced is nothing, or requests: never somebody's other files."""
    if out.is_dir() and ((out / REQUESTS_FILE).is_file() or not any(out.iterdir())):
        return
    if out.exists():
        raise UserError(f"{out}: holds something else than requests; give a new or empty folder")


def _swap(new: Path, out: Path, old: Path) -> None:
    try:
        if out.exists():
            out.rename(old)
        new.rename(out)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
