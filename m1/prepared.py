"""Prepared requests with their images, checked against their fingerprint."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from m1.errors import UserError
from m1.files import read_record
from m1.images import open_image
from m1.reading import check_inside, read_bytes, shown
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload

AGAIN = "run `dvc repro -f` for the `prepare` stage of that workload"


@dataclass(frozen=True)
class PreparedRequests:
    """The prepared requests of one workload, and where their images are."""

    record: RequestSet
    """The requests as they are stored."""
    folder: Path
    """Folder of the images."""

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests, in the order of the dataset."""
        return self.record.requests

    @property
    def fingerprint(self) -> str:
        """SHA-256 of requests and images."""
        return self.record.fingerprint

    def open_image(self, request: Request) -> Image.Image:
        """The image of a request in RGB.

        Raises:
            UserError: if it cannot be read.
        """
        return open_image(self.folder, request.image)

    def path_of(self, request: Request) -> str:
        """The path of a request's image, for messages."""
        return shown(self.folder / request.image)

    def name_of(self, request: Request) -> str:
        """The name by which the user knows a request's image."""
        return self.record.image_names.get(request.image) or self.path_of(request)


Prepared = Mapping[Workload, PreparedRequests]
"""The prepared requests of both workloads."""


def read_prepared(folder: Path) -> dict[Workload, PreparedRequests]:
    """Read the requests of both workloads, and check that their images did not change.

    Raises:
        UserError: as in `read_requests_and_images`.
    """
    folders = {w: folder / w for w in WORKLOADS}
    return {w: PreparedRequests(read_requests_and_images(f), f) for w, f in folders.items()}


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
