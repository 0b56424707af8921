"""A generator as a child process, and what it says."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from simulations.load.load_settings import LoadSettings

__all__ = ["GeneratorProcess", "messages_of"]


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
        """What it says, until it ends; the last is its rate, or a fault: also where it died without a word of it."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        concluded = False
        with self._process.stdout:
            for message in messages_of(self._process.stdout):
                concluded = concluded or not message.keys().isdisjoint(("rate", "fault"))
                yield message
        code = self._process.wait()
        with contextlib.suppress(OSError):  # of what it did not live to read
            self._process.stdin.close()
        if not concluded:
            yield {"fault": f"the load generator died ({_how(code)}) before its load was over: this is no measurement"}

    def kill(self) -> None:
        """End it now. May be called twice."""
        self._process.kill()
        self._process.wait()

    def _tell(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, which `messages` shows
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()


def messages_of(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """One a line. A last line that is cut short is none: its writer died."""
    return (json.loads(line) for line in lines if line.endswith("\n"))


def _how(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    return f"by signal {-code}" if -code not in set(signal.Signals) else f"by {signal.Signals(-code).name}"
