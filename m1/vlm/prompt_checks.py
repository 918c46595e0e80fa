"""Check that prompts reach a model unchanged, before anything is measured."""

from collections.abc import Mapping, Sequence

from m1.errors import Problems, UserError
from m1.schemas.requests import Request, Workload
from m1.vlm.prompts import Prompts


def check_prompts(prompts: Prompts, requests: Mapping[Workload, Sequence[Request]]) -> None:
    """Check that every prompt reaches the model unchanged, before anything is measured.

    Raises:
        UserError: if a prompt does not; the message names the first such request of each workload,
            and the reason.
    """
    problems = Problems()
    for workload, some in requests.items():
        with problems.noted():
            _check(prompts, workload, some)
    problems.refuse()


def _check(prompts: Prompts, workload: Workload, requests: Sequence[Request]) -> None:
    for request in requests:
        try:
            prompts.check(request.prompt)
        except UserError as error:
            raise UserError(f"{workload}: request {request.request_id!r}: {error}") from None
