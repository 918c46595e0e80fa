"""The pictures of prepared requests, with the names that users know."""

from collections.abc import Iterable
from typing import NamedTuple

from m1.prepared import Prepared, PreparedRequests
from m1.schemas.requests import Request, Workload
from m1.vlm.model import Size


class Picture(NamedTuple):
    """A picture that will be measured."""

    name: str
    """The name that its user knows."""
    size: Size
    """Width and height in pixels."""


def _picture_of(prepared: PreparedRequests, request: Request) -> Picture:
    """The picture of a request.

    Raises:
        UserError: if it cannot be read.
    """
    return Picture(prepared.name_of(request), prepared.open_image(request).size)


def pictures_of(prepared: Prepared, planned: Iterable[tuple[Workload, Request]]) -> list[Picture]:
    """The pictures of some requests. Each picture occurs once in a workload.

    Raises:
        UserError: if one of them cannot be read.
    """
    by_image = {(w, request.image): request for w, request in planned}
    return [_picture_of(prepared[w], request) for (w, _), request in by_image.items()]
