"""A process that a test launches, ended whatever comes of the test."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator

__all__ = ["HANGS_S", "ended_at_last", "ending"]

# A process that takes longer is taken for hanging: many times what a slow machine that does two things takes.
HANGS_S = 600.0


@contextlib.contextmanager
def ended_at_last(process: subprocess.Popen[str]) -> Iterator[str]:
    """The first line that it prints. At the end Ctrl-C, and time to drain before it is killed."""
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
            process.wait(HANGS_S)
        process.kill()
        process.wait()
        process.stdout.close()
