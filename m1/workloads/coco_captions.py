"""Requests from the COCO captions in their official layout."""

from pathlib import Path

from m1.errors import UserError
from m1.files import read_record
from m1.schemas.requests import Request
from m1.workloads.official import (
    Captions,
    check_unique,
    find_images,
    find_one,
    image_name,
    image_of,
)

Corpus = dict[str, tuple[str, ...]]


def read_coco_captions(root: Path, prompt: str) -> tuple[list[Request], Corpus]:
    """Read all images with their captions, in the order of the file's list of images.

    Args:
        root: folder of the dataset, images in it or in subfolders.
        prompt: what the model is asked.

    Returns:
        Requests whose images are paths from `root`, and the captions of all images, from which
        CIDEr takes its document frequencies.

    Raises:
        UserError: naming the file, what is wrong in it and how to mend it.
    """
    path = find_one(root, "captions*.json")
    captions = read_record(Captions, path)
    check_unique("image", (image.id for image in captions.images), path)
    check_unique("caption", (caption.id for caption in captions.annotations), path)
    references = _references(captions, path)
    images = find_images(root)
    requests = [
        _request(image_id, image_of(image_id, images, root), texts, prompt)
        for image_id, texts in references.items()
    ]
    return requests, {image_name(image_id): texts for image_id, texts in references.items()}


def _references(captions: Captions, path: Path) -> dict[int, tuple[str, ...]]:
    """The captions of each image; every image has some, and every caption an image."""
    texts: dict[int, list[str]] = {image.id: [] for image in captions.images}
    for caption in captions.annotations:
        if caption.image_id not in texts:
            raise UserError(
                f"{path}: caption {caption.id} is about image {caption.image_id}, which `images` "
                "does not list; add the image, or remove the caption"
            )
        texts[caption.image_id].append(caption.caption)
    for image_id, said in texts.items():
        if not any(text.strip() for text in said):
            raise UserError(f"{path}: image {image_id} has no caption; add some, or remove it")
    return {image_id: tuple(said) for image_id, said in texts.items()}


def _request(image_id: int, image: str, references: tuple[str, ...], prompt: str) -> Request:
    return Request(
        request_id=f"captioning-{image_id}",
        image_id=image_name(image_id),
        image=image,
        prompt=prompt,
        references=references,
        kind=None,
    )
