"""A peer's program as a process: started, asked by line, ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from isthmus.errors import Unavailable

__all__ = ["PeerProcess", "peer_process"]

START_S, END_S, ANSWER_S = 90.0, 20.0, 60.0
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class PeerProcess:
    """said: what its ready line held."""

    said: dict[str, Any]
    _process: subprocess.Popen[str]

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """One line in, one line out. Raises Unavailable when none comes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return _json_line(self._process, ANSWER_S)


@contextlib.contextmanager
def peer_process(python: str, program: str, *arguments: str) -> Iterator[PeerProcess]:
    """`benchmarks.peer_programs.<program>` on that interpreter, one thread a process, until the block ends.

    Raises Unavailable with the last line of its errors when it does not get ready.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = _started([python, "-m", f"benchmarks.peer_programs.{program}", *arguments], errors)
        try:
            try:
                said = _json_line(process, START_S)
            except Unavailable as error:
                raise Unavailable(f"{program} does not start: {_last_line(errors)}") from error
            yield PeerProcess(said, process)
        finally:
            _end(process)


def _started(command: Sequence[str], errors: IO[str]) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # 15 by default: beside other work its replica would wait where others run
    }
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip


def _json_line(process: subprocess.Popen[str], within_s: float) -> dict[str, Any]:
    """The next line that is JSON: libraries print banners. Read byte by byte, as nothing may be left in a buffer that
    `select` does not see."""
    assert process.stdout is not None
    line, deadline_s = bytearray(), time.monotonic() + within_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline_s - time.monotonic())):
            byte = os.read(process.stdout.fileno(), 1)
            if byte in (b"\n", b""):
                if line.startswith(b"{"):
                    said: dict[str, Any] = json.loads(line)
                    return said
                line.clear()
            if byte == b"":
                break
            line += byte.strip(b"\n")
    raise Unavailable("no line within its time")


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return lines[-1] if lines else "it says nothing"


def _end(process: subprocess.Popen[str]) -> None:
    """Let it end what it started; after a while, kill its whole session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
