"""A process that a test launches, ended whatever comes of the test."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator

__all__ = ["ended_at_last", "ending"]


@contextlib.contextmanager
def ended_at_last(process: subprocess.Popen[str]) -> Iterator[str]:
    """The first line that it prints. At the end Ctrl-C, and a minute to drain before it is killed."""
    with ending(process) as first_line:
        yield first_line()


@contextlib.contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[Callable[[], str]]:
    """The same without waiting for the line: what waits for it."""
    assert process.stdout is not None
    try:
        yield process.stdout.readline
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()
        process.stdout.close()
