"""One file at a time, from a server on this machine."""

import asyncio
import datetime
import email.utils
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from local_server import Fault, LocalServer, serving

from m1.errors import UserError
from m1.params import FetchParams
from m1.workloads.download import Remote, download

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serving() as local:
        local.files["/a.zip"] = CONTENT
        yield local


def params_for(url: str, **changes: float) -> FetchParams:
    common = {"n_parallel": 4, "n_attempts": 3, "backoff_s": 0.001, "timeout_s": 5.0}
    return FetchParams(vqa_v2_url=url, coco_url=url, karpathy_url=url, **common | changes)


def get(
    server: LocalServer,
    target: Path,
    path: str = "/a.zip",
    sha256: str | None = None,
    most_bytes: int = 10**6,
    **changes: float,
) -> list[tuple[int, int | None]]:
    """Download, and return the reported progress."""
    reported: list[tuple[int, int | None]] = []
    remote = Remote(f"{server.url}{path}", most_bytes, sha256)
    params = params_for(server.url, **changes)

    async def run() -> None:
        async with httpx2.AsyncClient(timeout=params.timeout_s, follow_redirects=True) as client:
            await download(client, remote, target, params, lambda *seen: reported.append(seen))

    asyncio.run(run())
    return reported


def one_line(server: LocalServer, target: Path, **how: object) -> str:
    with pytest.raises(UserError) as caught:
        get(server, target, **how)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(server.url)
    return message


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_alone(server: LocalServer, tmp_path: Path) -> None:
    reported = get(server, tmp_path / "new" / "a.zip", sha256=SHA256)
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert left(tmp_path / "new") == ["a.zip"]
    assert reported[-1] == (len(CONTENT), len(CONTENT))


def test_a_cut_download_is_resumed_in_the_same_call(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/a.zip"] = [Fault(cut_after=1000), Fault(cut_after=500)]
    get(server, tmp_path / "a.zip", sha256=SHA256)
    assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=1500-"]
    assert left(tmp_path) == ["a.zip"]


def test_a_cut_download_is_resumed_in_a_later_call(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/a.zip"] = [Fault(cut_after=1000)]
    message = one_line(server, tmp_path / "a.zip", n_attempts=1)
    assert "one attempt); run the command again later: it resumes from there" in message
    assert left(tmp_path) == ["a.zip.part", "a.zip.part.tag"]
    reported = get(server, tmp_path / "a.zip", sha256=SHA256)
    assert server.asked[-1] == ("/a.zip", "bytes=1000-")
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    assert left(tmp_path) == ["a.zip"]


def test_a_part_of_another_file_is_not_resumed(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/a.zip"] = [Fault(cut_after=1000)]
    one_line(server, tmp_path / "a.zip", n_attempts=1)
    server.files["/a.zip"] = CONTENT[::-1]
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("tag", ['W/"weak"', ""])
def test_a_part_without_a_strong_tag_is_not_resumed(
    tag: str, server: LocalServer, tmp_path: Path
) -> None:
    server.faults["/a.zip"] = [Fault(cut_after=1000, headers={"ETag": tag})]
    get(server, tmp_path / "a.zip", sha256=SHA256)
    assert [asked for _, asked in server.asked] == [None, None]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(ignore_range=True),  # sends all of it
        Fault(shift=-7),  # sends another part
        Fault(shift=7),
        Fault(status=416),
        Fault(at_most=300),  # sends less than asked for
    ],
)
def test_any_answer_of_a_server_to_a_range_gives_the_whole_file(
    fault: Fault, server: LocalServer, tmp_path: Path
) -> None:
    server.faults["/a.zip"] = [Fault(cut_after=1000), fault]
    get(server, tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_errors_that_may_pass_are_tried_again(
    status: int, server: LocalServer, tmp_path: Path
) -> None:
    server.faults["/a.zip"] = [Fault(status=status)] * 2
    get(server, tmp_path / "a.zip")
    assert len(server.asked) == 3


def test_attempts_come_to_an_end(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/a.zip"] = [Fault(status=503)] * 9
    message = one_line(server, tmp_path / "a.zip")
    assert "the server answers 503 Service Unavailable (3 attempts)" in message
    assert len(server.asked) == 3
    assert left(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_errors_that_will_not_pass_are_not_tried_again(
    status: int, server: LocalServer, tmp_path: Path
) -> None:
    server.faults["/a.zip"] = [Fault(status=status)]
    assert f"the server answers {status} " in one_line(server, tmp_path / "a.zip")
    assert len(server.asked) == 1
    assert left(tmp_path) == []


def http_date(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("1", True), ("a date", None), ("3600", None), ("0", False), ("soon", False)],
)
def test_retry_after_is_honoured_or_refused(
    asked: str, waits: bool | None, server: LocalServer, tmp_path: Path
) -> None:
    if asked == "a date":
        asked = http_date(39_000)
    slept: list[float] = []
    server.faults["/a.zip"] = [Fault(status=429, headers={"Retry-After": asked})]
    with pytest.MonkeyPatch.context() as patch:
        sleep = asyncio.sleep

        async def note(seconds: float) -> None:
            slept.append(seconds)
            await sleep(0)

        patch.setattr(asyncio, "sleep", note)
        if waits is None:
            message = one_line(server, tmp_path / "a.zip")
            assert "the server asks to wait 3" in message
            return
        get(server, tmp_path / "a.zip")
    assert (max(slept) >= 1.0) == waits


def test_a_dead_server_and_a_silent_one(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/a.zip"] = [Fault(delay_s=0.5)] * 2
    message = one_line(server, tmp_path / "a.zip", n_attempts=2, timeout_s=0.1)
    assert "(2 attempts)" in message
    gone = LocalServer(url="http://127.0.0.1:9")
    assert "(3 attempts); run the command again" in one_line(gone, tmp_path / "a.zip")
    assert left(tmp_path) == []


def test_a_wrong_checksum_leaves_the_earlier_file(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"earlier")
    message = one_line(server, tmp_path / "a.zip", sha256="0" * 64)
    assert f"SHA-256 is {SHA256[:12]}..., not 000000000000... as on record" in message
    assert left(tmp_path) == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == b"earlier"


def test_an_answer_without_end_is_refused(server: LocalServer, tmp_path: Path) -> None:
    # The rest is not waited for.
    server.faults["/a.zip"] = [Fault(cut_after=2000, stall_s=0.5)]
    message = one_line(server, tmp_path / "a.zip", most_bytes=1000, n_attempts=1, timeout_s=0.2)
    assert "larger than 1,000 bytes; not fetched" in message
    assert left(tmp_path) == []


def test_redirects_are_followed_but_not_forever(server: LocalServer, tmp_path: Path) -> None:
    server.faults["/b.zip"] = [Fault(status=302, headers={"Location": "/a.zip"})]
    get(server, tmp_path / "b.zip", "/b.zip", SHA256)
    server.faults["/b.zip"] = [Fault(status=302, headers={"Location": "/b.zip"})] * 50
    assert "redirect" in one_line(server, tmp_path / "b.zip", path="/b.zip").lower()
