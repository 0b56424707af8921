"""A process that a test launches, ended whatever comes of the test."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def ended_at_last(process: subprocess.Popen[str]) -> Iterator[str]:
    """The first line that it prints. At the end Ctrl-C, and a minute to drain before it is killed."""
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
