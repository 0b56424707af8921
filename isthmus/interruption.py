"""Ctrl-C and SIGTERM for commands that run nodes: one signal drains, wherever the command is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["Interruption", "interruptible", "keep_forks_quiet"]


class Interruption:
    """Whether a signal came. Until somebody waits for one, a signal cancels what runs."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._came = asyncio.Event()
        self._awaited = False

    @property
    def came(self) -> bool:
        """Whether a signal came."""
        return self._came.is_set()

    async def wait(self) -> None:
        """Return when a signal comes."""
        self._awaited = True
        await self._came.wait()

    def signal(self) -> None:
        """A signal came. The first one cancels what is being started; later ones change nothing: a drain is bounded."""
        if not self.came and not self._awaited:
            self._task.cancel()
        self._came.set()


@contextlib.asynccontextmanager
async def interruptible() -> AsyncIterator[Interruption]:
    """Catch SIGINT and SIGTERM in the block. What the block opened is closed in order, then the block ends quietly."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("interruptible() needs a running task")
    interruption = Interruption(task)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interruption.signal)
    try:
        yield interruption
    except asyncio.CancelledError:
        if not interruption.came:
            raise
        task.uncancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def keep_forks_quiet() -> None:
    """Before gRPC loads: Ray forks helpers from this process, which execute other programs at once and need no gRPC."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
