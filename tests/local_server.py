"""A web server on this machine that serves files, and makes errors on request."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """The answer to one request instead of the file."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes after which the connection breaks."""
    ignore_range: bool = False
    shift: int = 0
    """How far from what was asked the part that is sent begins."""
    at_most: int | None = None
    """Longest part that is sent at once."""
    delay_s: float = 0.0
    """Silence before the answer."""
    stall_s: float = 0.0
    """Silence before the connection breaks."""


@dataclass
class LocalServer:
    """Files by path, faults for the next requests of a path, and what was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Range` of each request."""
    n_open: int = 0
    most_open: int = 0
    tag: str = ""
    """The ETag of every file; by default it follows from the content."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serving() -> Iterator[LocalServer]:
    """A server that runs inside the block."""
    local = LocalServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(local))
    http.daemon_threads = True
    local.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield local
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def handler_for(local: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Print nothing."""

        def do_GET(self) -> None:
            with local.lock:
                local.asked.append((self.path, self.headers["Range"]))
                queued = local.faults.get(self.path)
                fault = queued.pop(0) if queued else Fault()
                local.n_open += 1
                local.most_open = max(local.most_open, local.n_open)
            try:
                time.sleep(fault.delay_s)
                self.answer(fault)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with local.lock:
                    local.n_open -= 1

        def answer(self, fault: Fault) -> None:
            content = local.files.get(self.path)
            status = fault.status or (404 if content is None else 200)
            if status != 200 or content is None:
                self.reply(status, fault.headers, b"", Fault())
                return
            tag = local.tag or f'"{hashlib.md5(content).hexdigest()}"'
            begin = 0 if fault.ignore_range else self.begin_asked(tag)
            headers = {"ETag": tag} | fault.headers
            if begin is None or begin == 0:
                self.reply(200, headers, content, fault)
                return
            begin += fault.shift
            part = content[begin : begin + (fault.at_most or len(content))]
            end = begin + len(part) - 1
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            self.reply(206 if part else 416, headers, part, fault)

        def begin_asked(self, tag: str) -> int | None:
            asked = self.headers["Range"]
            if asked is None or self.headers["If-Range"] != tag:
                return None
            return int(asked.removeprefix("bytes=").removesuffix("-"))

        def reply(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: fault.cut_after])
            self.wfile.flush()
            if fault.cut_after is not None:
                time.sleep(fault.stall_s)
                self.close_connection = True

    return Handler
