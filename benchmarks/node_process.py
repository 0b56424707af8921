"""A node as a process under a benchmark's hand: started, signalled, ended, and what it uses of the machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from isthmus.errors import ComputeFailed
from nodes.settings import CloudSettings, EdgeSettings

__all__ = ["NodeProcess", "cpu_s", "on_core"]

START_S = 120.0


class NodeProcess:
    """`python -m scheduler.process_node cloud|edge`. `start` it, `end` it; both may be repeated."""

    def __init__(
        self,
        side: Literal["cloud", "edge"],
        settings: CloudSettings | EdgeSettings,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """environment: variables besides those of this process."""
        self._side, self._settings, self._environment = side, settings, environment or {}
        self._process: subprocess.Popen[str] | None = None
        self._spawned = False
        self.address = ""

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def spawn(self) -> None:
        """Let a fresh process do its imports, seconds of a core, and wait for `start`."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scheduler.process_node", self._side],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **self._environment},
        )  # fmt: skip
        self._spawned = True

    async def start(self) -> None:
        """Start a fresh process, or the one that waits, and return once it serves."""
        if not self._spawned:
            self.spawn()
        self._spawned = False
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(self._settings.to_json() + "\n")
        self._process.stdin.flush()
        said = await self._line(self._process)
        if "ready" not in said:
            raise ComputeFailed(f"{self._side} process: {said}")
        self.address = said["ready"]

    async def planned(self) -> None:
        """Return once an edge offers plans that use the cloud."""
        assert self._process is not None
        while "planned" not in await self._line(self._process):
            pass

    async def status(self) -> dict[str, int]:
        """What it holds now; see `nodes.node_status`."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("status\n")
        self._process.stdin.flush()
        while "status" not in (said := await self._line(self._process)):
            pass
        held: dict[str, int] = said["status"]
        return held

    async def _line(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), START_S)  # type: ignore[union-attr]
        said: dict[str, Any] = json.loads(line)
        return said

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP, SIGCONT or SIGKILL."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, *, kill: bool) -> None:
        """Kill it, or let it drain."""
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        if kill:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        await asyncio.to_thread(self._process.wait, START_S)
        self._process.stdout.close()  # type: ignore[union-attr]


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all threads, finer than the hundredths in /proc: the number of its clock is made as
    clock_getcpuclockid(3) of Linux does."""
    return time.clock_gettime((~pid << 3) | 2)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """This thread, and what it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
