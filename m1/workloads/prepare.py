"""Prepare the requests of one workload: read or generate, sample, and write with their images."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from m1.errors import UserError
from m1.files import write_record, written_together
from m1.images import image_bytes
from m1.params import DataParams, WorkloadData
from m1.reading import is_file, is_folder
from m1.schemas.requests import PictureSize, RequestSet, Sample, Workload
from m1.workloads.images import resized
from m1.workloads.manifest import folder_of
from m1.workloads.opened import check_fetched, opened_dataset
from m1.workloads.scorable import check_scorable
from m1.workloads.sources import draw_sample

REQUESTS_FILE = "requests.json"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def prepare(
    workload: Workload, data: DataParams, out: Path, sample_file: Path | None = None
) -> RequestSet:
    """Write a workload's requests and their images to `out`. Earlier requests are replaced.

    Args:
        workload: the workload.
        data: the source of the requests.
        out: folder of the requests and images.
        sample_file: file for the ids of the requests, if they are wanted.

    Raises:
        UserError: with the mistake and how to fix it. Then nothing has been changed.
    """
    chosen = data.of(workload)
    with opened_dataset(workload, data) as dataset, written_together() as results:
        folder = results.folder(out)
        _check_replaceable(out)
        sample = draw_sample(workload, dataset.requests, chosen.n_requests, data.seed)
        check_scorable(workload, sample, dataset.corpus)
        images = {request.image_id: dataset.image_path(request) for request in sample}
        check_fetched(chosen, images.values())
        copies = _copy_images(images, folder, chosen.resize_to)
        request_set = RequestSet.of(
            workload=workload,
            source=chosen.source,
            requests=tuple(r.model_copy(update={"image": copies[r.image_id][0]}) for r in sample),
            image_digests=dict(copies.values()),
            corpus=dataset.corpus,
            resize_to=chosen.resize_to,
            image_names=_image_names(chosen, images, copies),
        )
        write_record(request_set, folder / REQUESTS_FILE)
        if sample_file is not None:
            results.record(Sample.of(request_set), sample_file)
    return request_set


def _copy_images(
    images: Mapping[str, Path], folder: Path, size: PictureSize | None
) -> dict[str, tuple[str, str]]:
    """Copy each image once, scaled if there is a size. Returns path and digest by image id."""
    (folder / "images").mkdir()
    copies = {}
    for image_id, source in images.items():
        content, ending = _copied(source, size)
        name = f"images/{image_id}{ending}"
        (folder / name).write_bytes(content)
        copies[image_id] = name, hashlib.sha256(content).hexdigest()
    return copies


def _copied(source: Path, size: PictureSize | None) -> tuple[bytes, str]:
    """The bytes of a copy, and the suffix of its name. The original's suffix may be wrong."""
    content = image_bytes(source)
    if size is not None:
        return resized(content, size)
    ending = source.suffix.lower()
    return content, ending if ending in ENDINGS else ""


def _image_names(
    chosen: WorkloadData, images: Mapping[str, Path], copies: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """Users' names of their images, by the paths of the copies; empty for generated images."""
    if chosen.source == "scenes":
        return {}
    root = Path(chosen.root)
    home = root.parent if chosen.source == "jsonl" else folder_of(root)
    own = {image_id: path for image_id, path in images.items() if path.is_relative_to(home)}
    return {
        copies[image_id][0]: path.relative_to(home).as_posix() for image_id, path in own.items()
    }


def _check_replaceable(out: Path) -> None:
    """Check that only earlier requests would be replaced, and never other files of the user."""
    if is_folder(out) and (is_file(out / REQUESTS_FILE) or not any(out.iterdir())):
        return
    if os.path.lexists(out):
        raise UserError(f"{out}: holds other files than requests; give a new or empty folder")
