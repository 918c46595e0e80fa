"""The requests of one workload: read or generated, sampled, written with the images they use."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from m1.errors import UserError
from m1.files import temporary_files, write_record, written_together
from m1.images import image_bytes
from m1.params import DataParams, WorkloadData
from m1.reading import is_file, is_folder, shown
from m1.schemas.requests import RequestSet, Sample, Workload
from m1.workloads.manifest import Manifest, folder_of
from m1.workloads.scene_dataset import write_scene_dataset
from m1.workloads.scorable import check_scorable
from m1.workloads.sources import check_source, draw_sample, read_source

REQUESTS_FILE = "requests.json"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def prepare(
    workload: Workload, data: DataParams, out: Path, sample_file: Path | None = None
) -> RequestSet:
    """Write a workload's requests and their images to `out`, in the place of what was there.

    Args:
        workload: whose requests.
        data: where they come from.
        out: folder of the requests and images.
        sample_file: where the ids of the requests go, if they are wanted.

    Raises:
        UserError: what is wrong and how to mend it; everything is then as it was before.
    """
    chosen = data.of(workload)
    check_source(workload, chosen)
    with (
        tempfile.TemporaryDirectory() as made,
        _dataset(chosen, data) as root,
        written_together() as results,
    ):
        folder = results.folder(out)
        _check_replaceable(out)
        dataset = read_source(workload, chosen, root, Path(made))
        sample = draw_sample(workload, dataset.requests, chosen.n_requests, data.seed)
        check_scorable(workload, sample, dataset.corpus)
        images = {request.image_id: dataset.image_path(request) for request in sample}
        _check_fetched(chosen, images.values())
        copies = {image_id: _copied_image(image_id, path) for image_id, path in images.items()}
        request_set = RequestSet.of(
            workload=workload,
            source=chosen.source,
            requests=tuple(r.model_copy(update={"image": copies[r.image_id]}) for r in sample),
            image_digests=_copy_images(images, copies, folder),
            corpus=dataset.corpus,
            image_names=_image_names(chosen, root, images, copies),
        )
        write_record(request_set, folder / REQUESTS_FILE)
        if sample_file is not None:
            results.record(Sample.of(request_set), sample_file)
    return request_set


@contextlib.contextmanager
def _dataset(chosen: WorkloadData, data: DataParams) -> Iterator[Path]:
    """Where the dataset is; scenes are written to a folder that is gone afterwards."""
    if chosen.source != "scenes":
        yield _existing(chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        with temporary_files():
            write_scene_dataset(Path(folder), data.seed, data.scenes)
        yield Path(folder)


def _existing(chosen: WorkloadData) -> Path:
    """The file or folder that `root` stands for."""
    root = Path(chosen.root)
    if chosen.source == "jsonl":
        if not is_file(root):
            raise UserError(
                f"{shown(root)}: no such file; set root in params.yaml to the .jsonl file"
            )
        if root.suffix == ".json":
            raise UserError(f"{root}: not a .jsonl file; set root in params.yaml to yours")
        return root
    if not is_folder(folder := folder_of(root)):
        # Where a manifest is named, `m1 fetch` is meant to have been.
        fetch = f"run `m1 fetch {chosen.source}`, or " if folder != root else ""
        raise UserError(
            f"{shown(folder)}: no such folder; {fetch}set root in params.yaml to the dataset's "
            "folder"
        )
    return folder


def _check_fetched(chosen: WorkloadData, images: Iterable[Path]) -> None:
    """DVC watches the manifest; see that it is true of the annotations and of the images used."""
    if chosen.source in ("vqa-v2", "coco-captions"):
        manifest = Manifest(Path(chosen.root))
        manifest.check([*manifest.folder.glob("annotations/*"), *images])


def _copied_image(image_id: str, path: Path) -> str:
    """A name for the copy; what stands after the last full stop need not be an ending."""
    ending = path.suffix.lower()
    return f"images/{image_id}{ending if ending in ENDINGS else ''}"


def _copy_images(images: dict[str, Path], copies: dict[str, str], folder: Path) -> dict[str, str]:
    """Copy each image once, after seeing that it can be decoded; their digests by their paths."""
    (folder / "images").mkdir()
    digests = {}
    for image_id, source in images.items():
        content = image_bytes(source)
        (folder / copies[image_id]).write_bytes(content)
        digests[copies[image_id]] = hashlib.sha256(content).hexdigest()
    return digests


def _image_names(
    chosen: WorkloadData, root: Path, images: Mapping[str, Path], copies: Mapping[str, str]
) -> dict[str, str]:
    """What users call their images, by the paths of the copies; none are theirs if generated."""
    if chosen.source == "scenes":
        return {}
    home = root.parent if chosen.source == "jsonl" else root
    own = {image_id: path for image_id, path in images.items() if path.is_relative_to(home)}
    return {copies[image_id]: path.relative_to(home).as_posix() for image_id, path in own.items()}


def _check_replaceable(out: Path) -> None:
    """See that what would be replaced is nothing, or requests: never somebody's other files."""
    if is_folder(out) and (is_file(out / REQUESTS_FILE) or not any(out.iterdir())):
        return
    if os.path.lexists(out):
        raise UserError(f"{out}: holds something else than requests; give a new or empty folder")
