"""A headless Chromium without network, driven through a pipe: it needs no library and no port."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
SWITCHES = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    # Whatever asks for a name gets none: a page that loads something fails to.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PATIENCE_S = 20.0

Message = dict[str, Any]


class Browser:
    """One page; commands are those of Chrome's DevTools protocol."""

    def __init__(self, commands: int, messages: int) -> None:
        """Keep both ends of the pipe, and open a page."""
        self._commands, self._messages, self._unread = commands, messages, b""
        self._numbers, self._session = itertools.count(1), None
        self.events: deque[Message] = deque()
        """Messages of the page, oldest first."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    @classmethod
    @contextlib.contextmanager
    def started(cls, profile: Path) -> Iterator[Self]:
        """A browser with a profile of its own, which ends with the block."""
        assert CHROMIUM
        to_browser, commands = os.pipe()
        messages, from_browser = os.pipe()
        for end in (to_browser, from_browser):
            os.set_inheritable(end, True)
        # It reads commands from descriptor 3 and writes to 4.
        redirected = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        arguments = [CHROMIUM, *SWITCHES, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", *arguments],
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield cls(commands, messages)
        finally:
            process.kill()
            process.wait()
            os.close(commands)
            os.close(messages)

    def send(self, method: str, **params: Any) -> Message:
        """Run a command of the protocol, and return its result."""
        number = next(self._numbers)
        command: Message = {"id": number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self._read()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message["error"]
        return message["result"]

    def _read(self) -> Message:
        while b"\0" not in self._unread:
            part = os.read(self._messages, 1 << 20)
            assert part, "the browser ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self.events.clear()
        self.send("Page.navigate", url=page.absolute().as_uri())
        self.wait_for("document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """The value of a script."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a script evaluates to something true."""
        end = time.monotonic() + PATIENCE_S
        while not self.value(condition):
            assert time.monotonic() < end, f"not within {PATIENCE_S} s: {condition}"
            time.sleep(0.02)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page a size in pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def point_at(self, selector: str) -> None:
        """Move the mouse to the middle of an element."""
        x, y = self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            "one.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def told(self, *methods: str) -> list[Message]:
        """Messages of some kinds since the page was opened."""
        self.send("Runtime.getIsolateId")  # all before its answer has been read
        return [event["params"] for event in self.events if event.get("method") in methods]
