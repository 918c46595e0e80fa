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
    """All requests of a workload. Their images can be looked up inside the block.

    Raises:
        UserError: with the mistake and how to fix it.
    """
    chosen = data.of(workload)
    check_source(workload, chosen)
    with tempfile.TemporaryDirectory() as made, _root(chosen, data) as root:
        yield read_source(workload, chosen, root, Path(made))


@contextmanager
def _root(chosen: WorkloadData, data: DataParams) -> Iterator[Path]:
    """The place of the dataset. Scenes are written to a folder that is deleted afterwards."""
    if chosen.source != "scenes":
        yield _existing(chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        with temporary_files():
            write_scene_dataset(Path(folder), data.seed, data.scenes)
        yield Path(folder)


def _existing(chosen: WorkloadData) -> Path:
    """The file or folder that `root` names."""
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
        # If `root` is a manifest, the user should have run `m1 fetch`.
        fetch = f"run `m1 fetch {chosen.source}`, or " if folder != root else ""
        raise UserError(
            f"{shown(folder)}: no such folder; {fetch}set root in params.yaml to the dataset's "
            "folder"
        )
    return folder


def check_fetched(chosen: WorkloadData, images: Iterable[Path]) -> None:
    """Check the annotations and the used images with the manifest, which DVC watches.

    Raises:
        UserError: if a file has changed since it was fetched; the message names it.
    """
    if chosen.source in ("vqa-v2", "coco-captions"):
        manifest = Manifest(Path(chosen.root))
        manifest.check([*manifest.folder.glob("annotations/*"), *images])
