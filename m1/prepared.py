"""Read prepared requests, and check them against their fingerprint."""

import hashlib
from pathlib import Path

from m1.errors import UserError
from m1.files import read_record
from m1.reading import check_inside, read_bytes
from m1.schemas.requests import RequestSet

AGAIN = "run `dvc repro -f` for the `prepare` stage of that workload"


def read_requests(file: Path) -> RequestSet:
    """Read requests without their images.

    Raises:
        UserError: if it cannot be read, or its content does not match its fingerprint. Its answers
            would then be used as answers to other requests.
    """
    requests = read_record(RequestSet, file)
    if requests.content_fingerprint != requests.fingerprint:
        raise UserError(
            f"{file}: changed after it was prepared (its fingerprint is of other prompts, "
            f"references or images): change the data or the prompt in params.yaml, and {AGAIN}"
        )
    return requests


def read_requests_and_images(folder: Path) -> RequestSet:
    """Read the requests of a folder, and check that their images did not change.

    Raises:
        UserError: as in `read_requests`, or if an image is changed, missing or outside the folder.
    """
    requests = read_requests(folder / "requests.json")
    for image in dict.fromkeys(request.image for request in requests.requests):
        check_inside(folder / image, folder)
        if requests.image_digests.get(image) != _digest(folder / image):
            raise UserError(
                f"{folder / image}: not the image that the requests were prepared with: {AGAIN}"
            )
    return requests


def _digest(image: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(image)).hexdigest()
    except UserError as error:
        raise UserError(f"{error}: {AGAIN}") from None
