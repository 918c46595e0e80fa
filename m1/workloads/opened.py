"""A workload's dataset opened for reading: generated, fetched, or the user's own."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from m1.errors import UserError
from m1.files import temporary_files
from m1.params import DataParams, WorkloadData
from m1.reading import is_file, is_folder, shown
from m1.schemas.requests import Workload
from m1.workloads.dataset import Dataset
from m1.workloads.manifest import Manifest, folder_of
from m1.workloads.scene_dataset import write_scene_dataset
from m1.workloads.sources import check_source, read_source


@contextmanager
def opened_dataset(workload: Workload, data: DataParams) -> Iterator[Dataset]:
    """All requests of a workload, whose images can be looked up as long as the block lasts.

    Raises:
        UserError: what is wrong and how to fix it.
    """
    chosen = data.of(workload)
    check_source(workload, chosen)
    with tempfile.TemporaryDirectory() as made, _root(chosen, data) as root:
        yield read_source(workload, chosen, root, Path(made))


@contextmanager
def _root(chosen: WorkloadData, data: DataParams) -> Iterator[Path]:
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


def check_fetched(chosen: WorkloadData, images: Iterable[Path]) -> None:
    """DVC watches the manifest; see that it is true of the annotations and of the images used.

    Raises:
        UserError: naming a file that is not as it was fetched.
    """
    if chosen.source in ("vqa-v2", "coco-captions"):
        manifest = Manifest(Path(chosen.root))
        manifest.check([*manifest.folder.glob("annotations/*"), *images])
