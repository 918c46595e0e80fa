"""Whether prompts reach a model as they are, seen before anything is measured."""

from collections.abc import Mapping

from m1.errors import UserError
from m1.schemas.requests import RequestSet, Workload
from m1.vlm.prompts import Prompts


def check_prompts(prompts: Prompts, sets: Mapping[Workload, RequestSet]) -> None:
    """Whether every prompt reaches the model as it is, before anything is measured.

    Raises:
        UserError: naming the request, and what is wrong.
    """
    for workload, one in sets.items():
        for request in one.requests:
            try:
                prompts.check(request.prompt)
            except UserError as error:
                raise UserError(f"{workload}: request {request.request_id!r}: {error}") from None
