"""Requests from the user's own JSON Lines file, with one request per line."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from m1.errors import UserError
from m1.files import read_lines
from m1.reading import is_file, shown
from m1.schemas.datasets import JsonlRequest
from m1.schemas.requests import Request, Workload
from m1.workloads.dataset import Corpus, Dataset
from m1.workloads.images import made_picture
from m1.workloads.official import check_unique

# Copies of images are named by their id.
SAFE_ID = re.compile(r"\w[\w.-]{0,99}")
# File systems allow 255 bytes; this leaves room for a suffix.
MOST_BYTES = 200

Line = tuple[int, JsonlRequest]


def read_jsonl(path: Path, prompt: str, workload: Workload, made: Path) -> Dataset:
    """Read all requests, in the order of the lines.

    Args:
        path: the file; images are named relative to it.
        prompt: what the model is asked; `{question}` stands for the line's own prompt.
        workload: what the requests are for.
        made: folder for the pictures of requests that only give a size.

    Returns:
        Requests whose images are paths from the file's folder. For captioning also the references
        of all images, from which CIDEr takes its document frequencies.

    Raises:
        UserError: if a line has a mistake; the message names file and line, and how to fix it.
    """
    lines = read_lines(JsonlRequest, path)
    if not lines:
        raise UserError(f"{path}: no request in it; write one a line")
    image_ids = _image_ids(lines, path)
    requests = [
        _request(number, line, image_ids[_image_of(number, line)], prompt, workload, path)
        for number, line in lines
    ]
    check_unique("request", (request.request_id for request in requests), path)
    corpus = _corpus(requests) if workload == "captioning" else {}
    sizes = {
        request.image_id: line.image_size
        for request, (_, line) in zip(requests, lines, strict=True)
        if line.image_size
    }

    def image_path(request: Request) -> Path:
        if size := sizes.get(request.image_id):
            return made_picture(request.image_id, size, made)
        return _image_path(request, path)

    return Dataset(requests, corpus, image_path)


def _image_of(number: int, line: JsonlRequest) -> str:
    """A key for a line's image: its path, or its size and id if it has to be made."""
    if line.image:
        return str(PurePath(line.image))  # "./a.jpg" is "a.jpg"
    width, height = line.image_size or (0, 0)
    return f"{width} x {height} {line.image_id or number}"


def _image_ids(lines: Sequence[Line], path: Path) -> dict[str, str]:
    """An id for each image: the one given, or its number in the file."""
    ids: dict[str, str] = {}
    owner: dict[str, str] = {}
    for number, line in lines:
        image = _image_of(number, line)
        image_id = line.image_id or ids.get(image) or f"image-{len(ids) + 1}"
        place = f"{path}: line {number}: image_id {image_id!r}"
        if not SAFE_ID.fullmatch(image_id) or len(image_id.encode()) > MOST_BYTES:
            raise UserError(
                f"{place}: use up to 100 letters, digits, '.', '-' and '_', of {MOST_BYTES} bytes "
                "together"
            )
        if ids.setdefault(image, image_id) != image_id:
            raise UserError(f"{place}: {image} is {ids[image]!r} before; keep one id")
        if owner.setdefault(image_id, image) != image:
            raise UserError(f"{place}: {owner[image_id]} has that id; give each image its own")
    return ids


def _request(
    number: int, line: JsonlRequest, image_id: str, prompt: str, workload: Workload, path: Path
) -> Request:
    place = f"{path}: line {number}"
    if not line.prompt.strip():
        raise UserError(f"{place}: the prompt has no text; say what the model is asked")
    if not any(text.strip() for text in line.references):
        raise UserError(f"{place}: no reference has text; give one or more")
    return Request(
        request_id=line.request_id or f"{workload}-{number}",
        image_id=image_id,
        image=line.image or f"{image_id}.png",
        prompt=prompt.replace("{question}", line.prompt),
        references=line.references,
        kind=line.kind,
    )


def _corpus(requests: Sequence[Request]) -> Corpus:
    """All references of each image; several requests may share one."""
    references: dict[str, dict[str, None]] = {}
    for request in requests:
        references.setdefault(request.image_id, {}).update(dict.fromkeys(request.references))
    return {image_id: tuple(said) for image_id, said in references.items()}


def _image_path(request: Request, path: Path) -> Path:
    image = path.parent / request.image
    if not is_file(image):
        place = f"{path}: request {request.request_id}"
        raise UserError(f"{place}: no image {shown(image)}; fix the path")
    return image
