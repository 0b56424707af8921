"""A real headless Chromium, driven over its DevTools protocol: messages through two pipes, nothing else in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Browser", "open_browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_S = 120.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-pipe", "about:blank", )  # fmt: skip


class Browser:
    """One page. `events` are what it said besides its answers: exceptions, console lines, refusals by policy."""

    def __init__(self, to: int, from_: int) -> None:
        self._to, self._from = to, from_
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, said["error"]
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def open(self, url: str, width: int = 1280, height: int = 800, *, dark: bool = False) -> None:
        """Go to a page, in a window of that size."""
        self.events.clear()
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.order("Emulation.setEmulatedMedia", features=scheme)
        phone = width < 600
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.order("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What a script of the page's would see."""
        said = self.order("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until the expression is true of the page."""
        over_s = time.monotonic() + WAIT_S
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < over_s, f"not within {WAIT_S:g} s: {expression}; {self.complaints}"
            time.sleep(0.05)

    @property
    def complaints(self) -> list[str]:
        """Exceptions, errors on the console, and what the page's policy refused."""
        found = [json.dumps(one["params"]) for one in self.events if one.get("method") == "Runtime.exceptionThrown"]
        entries = [one["params"]["entry"] for one in self.events if one.get("method") == "Log.entryAdded"]
        return found + [entry["text"] for entry in entries if entry["level"] == "error"]

    @property
    def asked(self) -> list[str]:
        """Every address that the page loaded or tried to."""
        sent = (one["params"] for one in self.events if one.get("method") == "Network.requestWillBeSent")
        return [one["request"]["url"] for one in sent]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot as PNG."""
        import base64

        data = self.order("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._from, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        return said


@contextlib.contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, which ends with the block."""
    assert CHROMIUM is not None
    hears, to = os.pipe()
    from_, says = os.pipe()
    # It reads commands from descriptor 3 and writes to 4.
    placed = [(os.POSIX_SPAWN_DUP2, hears, 3), (os.POSIX_SPAWN_DUP2, says, 4)]
    with (folder / "browser.log").open("w") as log:
        placed += [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
        process = os.posix_spawn(
            CHROMIUM, [CHROMIUM, f"--user-data-dir={folder / 'profile'}", *_FLAGS], os.environ, file_actions=placed
        )
    os.close(hears)
    os.close(says)
    try:
        browser = Browser(to, from_)
        yield browser
        browser._session = ""
        browser.order("Browser.close")
    finally:
        os.close(to)
        os.close(from_)
        os.waitpid(process, 0)
