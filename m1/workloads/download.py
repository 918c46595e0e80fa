"""Download one file over HTTP. It resumes and retries, and leaves a whole file or none."""

import datetime
import email.utils
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from m1.errors import UserError
from m1.params import FetchParams
from m1.plain_text import public_address, without_secrets
from m1.schemas.base import describe
from m1.workloads.partial import Part, part_of

LONGEST_WAIT_S = 120.0
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)

# Called after each piece with the bytes so far, and all bytes (None if the server does not say).
Report = Callable[[int, int | None], object]


@dataclass(frozen=True)
class Remote:
    """A file to fetch."""

    url: str
    most_bytes: int
    """Larger answers are refused."""
    sha256: str | None = None
    """The checksum of the file, if it is known."""

    @property
    def place(self) -> str:
        """The address for messages."""
        return public_address(self.url)


class TransientError(Exception):
    """A failure that may be temporary."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        """Note what happened, and how long the server asks to wait."""
        super().__init__(reason)
        self.wait_s = wait_s


async def download(
    client: httpx2.AsyncClient,
    remote: Remote,
    target: Path,
    params: FetchParams,
    report: Report,
    check: Callable[[Path], object] = lambda _: None,
    tell: Callable[[str], object] = lambda _: None,
) -> None:
    """Fetch a file. If an earlier call was interrupted, resume it.

    Args:
        client: sends the requests.
        remote: the file to fetch.
        target: the path of the finished file; an unfinished one is `<target>.part`.
        params: the number of attempts and the waiting times.
        report: called with the progress.
        check: raises UserError if the file is not the wanted one; the file is then deleted.
        tell: called before each wait for another attempt.

    Raises:
        UserError: if the file cannot be fetched; the message has the address and advice.
    """
    part = part_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        async for attempt in _attempts(params, remote, tell):
            with attempt:
                await _transfer(client, remote, part, report)
    except TransientError as error:
        times = f"{params.n_attempts} attempts" if params.n_attempts > 1 else "one attempt"
        raise UserError(
            f"{remote.place}: {error} ({times}); run the command again later: it resumes from there"
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = without_secrets(describe(error))
        raise UserError(f"{remote.place}: {reason}; fix the address in `fetch`") from None
    _put_in_place(part, remote, target, check)


def _put_in_place(
    part: Part, remote: Remote, target: Path, check: Callable[[Path], object]
) -> None:
    try:
        _check_sha256(part.path, remote)
        check(part.path)
    except UserError:
        part.discard()
        raise
    part.path.replace(target)
    part.discard()


def _check_sha256(path: Path, remote: Remote) -> None:
    if remote.sha256 is None:
        return
    if (sha256 := sha256_of(path)) != remote.sha256:
        raise UserError(
            f"{remote.place}: its SHA-256 is {sha256[:12]}..., not {remote.sha256[:12]}... as on "
            "record: the file is damaged or another one; try again, or another mirror"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attempts(params: FetchParams, remote: Remote, tell: Callable[[str], object]) -> AsyncRetrying:
    doubling = wait_exponential(params.backoff_s, LONGEST_WAIT_S)
    # Waiting times are random, so that requests that failed together do not retry together.
    backoff = doubling + wait_random(0, params.backoff_s)

    def wait_s(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(backoff(state), error.wait_s if isinstance(error, TransientError) else 0.0)

    def tell_of_next(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        attempt = f"attempt {state.attempt_number + 1} of {params.n_attempts}"
        tell(f"{remote.place}: {error}; {attempt} in {state.upcoming_sleep:.1f} s")

    return AsyncRetrying(
        before_sleep=tell_of_next,
        stop=stop_after_attempt(params.n_attempts),
        wait=wait_s,
        retry=retry_if_exception_type(TransientError),
        reraise=True,
    )


async def _transfer(client: httpx2.AsyncClient, remote: Remote, part: Part, report: Report) -> None:
    """One attempt: ask for the missing part, and write it as it arrives."""
    try:
        async with client.stream("GET", remote.url, headers=part.headers()) as response:
            _check_status(response, part, remote)
            if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                part.start_over(response)
            await _write(response, remote, part, report)
    except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise TransientError(without_secrets(describe(error)) or type(error).__name__) from None


def _check_status(response: httpx2.Response, part: Part, remote: Remote) -> None:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code in TRY_AGAIN:
        raise TransientError(f"the server answers {status}", _asked_wait_s(response, remote))
    if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.discard()
        raise TransientError(f"the server answers {status}")
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        begins = f"bytes {part.size_bytes()}-"
        if not response.headers.get("Content-Range", "").startswith(begins):
            part.discard()
            raise TransientError("the server sends another part than asked for")
    elif response.status_code != HTTPStatus.OK:
        raise UserError(
            f"{remote.place}: the server answers {status}; fix the address in `fetch`, or the "
            "annotations that name the file"
        )


def _asked_wait_s(response: httpx2.Response, remote: Remote) -> float:
    """How long the server asks to wait: `Retry-After` in seconds or as a date."""
    asked = response.headers.get("Retry-After", "")
    try:
        wait_s = float(asked) if asked.isdigit() else _seconds_until(asked)
    except ValueError:
        return 0.0
    if wait_s > LONGEST_WAIT_S:
        raise UserError(f"{remote.place}: the server asks to wait {wait_s:.0f} s; come back then")
    return wait_s


def _seconds_until(date: str) -> float:
    moment = email.utils.parsedate_to_datetime(date)
    return max(0.0, (moment - datetime.datetime.now(datetime.UTC)).total_seconds())


async def _write(response: httpx2.Response, remote: Remote, part: Part, report: Report) -> None:
    here = part.size_bytes()
    total = _total_bytes(response, here)
    with part.path.open("ab") as file:
        async for piece in response.aiter_raw():
            here += file.write(piece)
            if here > remote.most_bytes:
                break
            report(here, total)
    if max(here, total or 0) > remote.most_bytes:
        part.discard()
        raise UserError(f"{remote.place}: larger than {remote.most_bytes:,} bytes; not fetched")
    if total is not None and here != total:
        raise TransientError(f"cut off after {here:,} of {total:,} bytes")


def _total_bytes(response: httpx2.Response, here: int) -> int | None:
    """The size of the whole file; `None` if the server does not say."""
    whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    if whole.isdigit():
        return int(whole)
    length = response.headers.get("Content-Length", "")
    return here + int(length) if length.isdigit() else None
