"""Requests from the COCO captions in their official layout."""

from pathlib import Path

from m1.errors import UserError
from m1.files import read_record
from m1.schemas.requests import Request
from m1.workloads.dataset import Dataset
from m1.workloads.official import (
    CAPTIONS,
    KARPATHY_SPLIT,
    Caption,
    Captions,
    KarpathySplit,
    OfficialImages,
    check_unique,
    find_one,
    image_name,
)


def read_coco_captions(
    root: Path, prompt: str, split: str | None = None, annotations: str | None = None
) -> Dataset:
    """Read images with their captions, in the order of the file's list of images.

    Args:
        root: folder of the dataset, images in it or in subfolders.
        prompt: what the model is asked.
        split: `karpathy-test` takes the 5,000 images that papers on captioning report on, as
            `dataset_coco.json` in `root` lists them; None takes all images.
        annotations: the file with the captions; None takes the only one, or that of val2014.

    Returns:
        Requests whose images are COCO ids, and the captions of all images of the split. CIDEr takes
        its document frequencies from these captions. Only images that are used have to exist, with
        their own `file_name` or the name that COCO would give them.

    Raises:
        UserError: if a file has a mistake; the message names the file and says how to fix it.
    """
    path = find_captions(root, annotations)
    captions = read_record(Captions, path)
    check_unique("image", (image.id for image in captions.images), path)
    ids = (caption.id for caption in captions.annotations if caption.id is not None)
    check_unique("caption", ids, path)
    references = _references(captions, path)
    if split == "karpathy-test":
        references = _karpathy_test(references, root, path)
    file_names = {image.id: image.file_name for image in captions.images if image.file_name}
    images = OfficialImages(root, file_names)
    return Dataset(
        [_request(image_id, texts, prompt) for image_id, texts in references.items()],
        {image_name(image_id): texts for image_id, texts in references.items()},
        lambda request: images.path_of(int(request.image_id)),
    )


def find_captions(root: Path, name: str | None) -> Path:
    """The file with the captions.

    Raises:
        UserError: if it does not exist, or if there are several and none is named.
    """
    return find_one(root, CAPTIONS, name, "data.captioning.annotations")


def _karpathy_test(
    references: dict[int, tuple[str, ...]], root: Path, captions_path: Path
) -> dict[int, tuple[str, ...]]:
    path = find_one(root, KARPATHY_SPLIT)
    images = read_record(KarpathySplit, path).images
    chosen = {image.cocoid for image in images if image.split == "test"}
    if not chosen:
        raise UserError(f"{path}: no image is in the split `test`; take the file of COCO")
    if missing := chosen - references.keys():
        raise UserError(
            f"{path}: image {min(missing)} of the split `test` is not in {captions_path.name}; "
            "take the captions of val2014"
        )
    return {image_id: said for image_id, said in references.items() if image_id in chosen}


def _references(captions: Captions, path: Path) -> dict[int, tuple[str, ...]]:
    """The captions of each image, after a check that every image has captions, and vice versa."""
    texts: dict[int, list[str]] = {image.id: [] for image in captions.images}
    for caption in captions.annotations:
        if caption.image_id not in texts:
            raise UserError(
                f"{path}: {_named(caption)} is about image {caption.image_id}, which `images` "
                "does not list; add the image, or remove the caption"
            )
        texts[caption.image_id].append(caption.caption)
    for image_id, said in texts.items():
        if not any(text.strip() for text in said):
            raise UserError(f"{path}: image {image_id} has no caption; add some, or remove it")
    return {image_id: tuple(said) for image_id, said in texts.items()}


def _named(caption: Caption) -> str:
    return f"caption {caption.caption!r}" if caption.id is None else f"caption {caption.id}"


def _request(image_id: int, references: tuple[str, ...], prompt: str) -> Request:
    return Request(
        request_id=f"captioning-{image_id}",
        image_id=image_name(image_id),
        image=image_name(image_id),
        prompt=prompt,
        references=references,
        kind=None,
    )
