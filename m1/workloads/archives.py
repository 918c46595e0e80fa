"""The official archives of annotations, and how one file is unpacked safely."""

import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from m1.errors import UserError
from m1.together import Together
from m1.workloads.official import ANNOTATIONS, CAPTIONS, KARPATHY_SPLIT, QUESTIONS

Mirror = Literal["vqa_v2_url", "coco_url", "karpathy_url"]

MOST_UNPACKED_BYTES = 1 << 30
MOST_RATIO = 100


@dataclass(frozen=True)
class Archive:
    """An archive with a file that M1 reads."""

    mirror: Mirror
    """Key of section `fetch` with the address of its folder."""
    path: str
    """Its path from this folder."""
    sha256: str
    """Its SHA-256."""
    member: str
    """The file that is unpacked from it."""
    pattern: str
    """Pattern of the file that readers look for. If such a file exists, nothing is fetched."""


# The datasets' authors publish no checksums. These are what two libraries have recorded and
# check: ParlAI (parlai/tasks/vqa_v2/build.py) for VQA v2, and TensorFlow Datasets
# (url_checksums/coco_captions.txt) for COCO and the Karpathy split.
VQA_V2 = (
    Archive(
        "vqa_v2_url",
        "v2_Questions_Val_mscoco.zip",
        "e71f6c5c3e97a51d050f28243e262b28cd0c48d11a6b4632d769d30d3f93222a",
        "v2_OpenEnded_mscoco_val2014_questions.json",
        QUESTIONS,
    ),
    Archive(
        "vqa_v2_url",
        "v2_Annotations_Val_mscoco.zip",
        "0caae7c8d1dafd852727f5ac046bc1efca9b72026bd6ffa34fc489f3a7b3291e",
        "v2_mscoco_val2014_annotations.json",
        ANNOTATIONS,
    ),
)
COCO_CAPTIONS = Archive(
    "coco_url",
    "annotations/annotations_trainval2014.zip",
    "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
    "captions_val2014.json",
    CAPTIONS,
)
KARPATHY = Archive(
    "karpathy_url",
    "caption_datasets.zip",
    "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
    "dataset_coco.json",
    KARPATHY_SPLIT,
)


def unpack(archive: Path, member: str, target: Path) -> None:
    """Write one file of an archive to `target`, whole or not at all. Other files stay packed.

    Raises:
        UserError: if the archive is broken, does not have the file, or is not safe to unpack.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            info = _checked_member(packed, member, archive)
            # The library checks the declared size and the checksum while reading.
            with (
                packed.open(info) as source,
                Together() as files,
                files.file(target).open("wb") as file,
            ):
                shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive}: not a readable zip archive ({error})") from None


def _checked_member(packed: zipfile.ZipFile, member: str, archive: Path) -> zipfile.ZipInfo:
    """The wanted file, after a check of all files in the archive."""
    infos = packed.infolist()
    for info in infos:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{archive}: {info.filename} points out of the archive; not unpacked")
    matching = [info for info in infos if PurePosixPath(info.filename).name == member]
    if len(matching) != 1:
        raise UserError(f"{archive}: {len(matching)} files {member} in it instead of one")
    _check_size(matching[0], archive)
    return matching[0]


def _check_size(info: zipfile.ZipInfo, archive: Path) -> None:
    ratio = info.file_size / max(info.compress_size, 1)
    if info.file_size > MOST_UNPACKED_BYTES or ratio > MOST_RATIO:
        raise UserError(
            f"{archive}: {info.filename} would unpack to {info.file_size:,} bytes, {ratio:.0f} "
            "times its packed size; not unpacked"
        )
