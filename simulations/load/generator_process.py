"""A generator as a child process, and what it says."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from simulations.load.load_settings import LoadSettings

__all__ = ["GeneratorProcess"]


class GeneratorProcess:
    """Starts at once. Under gevent its pipes are gevent's, so reading from them lets other greenlets run."""

    def __init__(self, settings: LoadSettings, target: str) -> None:
        command = [sys.executable, "-m", "simulations.load.generator"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._tell({**settings.to_json(), "target": target})

    def begin(self, name: str, number: int) -> None:
        """The arrivals of that client."""
        self._tell({"begin": name, "number": number})

    def end(self, name: str, number: int) -> None:
        """No more of them."""
        self._tell({"end": name, "number": number})

    def finish(self) -> None:
        """End all arrivals; `messages` ends when the last answers are in."""
        self._tell({"finish": True})

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield json.loads(line)
        self._process.wait()

    def kill(self) -> None:
        """End it now. May be called twice."""
        self._process.kill()
        self._process.wait()

    def _tell(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, which `messages` shows
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
