"""Nodes that start on one machine measure themselves one after the other: two at once would each find it slow."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import time
from collections.abc import AsyncIterator
from pathlib import Path

from isthmus.cache_folder import cache_folder
from isthmus.telemetry import get_logger

__all__ = ["measuring_turn"]

MOST_WAIT_S = 30.0  # a node that measures takes a few seconds; one that compiles first takes minutes
_POLL_S = 0.05


@contextlib.asynccontextmanager
async def measuring_turn(file: Path | None = None, most_wait_s: float = MOST_WAIT_S) -> AsyncIterator[None]:
    """In the block no other process of this user is in such a block, whatever node it runs.

    A process that dies leaves its turn. Waits `most_wait_s` at most, and not at all where `file` (by default one in the
    cache folder) cannot be made: a node that measures beside another one is better than none.
    """
    with contextlib.ExitStack() as stack:
        path = file or cache_folder("measuring") / "turn"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(path.open("ab"))
        except OSError as error:
            get_logger("measure").warning("measures without waiting for other nodes", reason=str(error))
        else:
            await _wait_for(held.fileno(), most_wait_s)
        yield


async def _wait_for(descriptor: int, most_wait_s: float) -> None:
    """Polls: a thread that blocked in the kernel would outlive a cancelled start. Closing the file ends the turn."""
    over_s = time.monotonic() + most_wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= over_s:
                get_logger("measure").warning("measures beside another node", waited_s=most_wait_s)
                return
            await asyncio.sleep(_POLL_S)
        else:
            return
