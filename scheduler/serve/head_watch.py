"""Calls of Ray that may never return: they are given up when the head of the cluster is gone.

Ray's own wait for a head that has died, until Ray ends the whole process a minute later.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import TypeVar

from isthmus.addresses import parse_address
from isthmus.errors import HostLost
from nodes.background import run_apart

__all__ = ["while_head_answers"]

T = TypeVar("T")

LOOK_S = 1.0
# A head that is started again in its place is back sooner; Ray gives one a minute.
SILENT_S = 10.0


async def while_head_answers(
    head: str, call: Callable[[], T], *, most_s: float = math.inf, silent_s: float = SILENT_S
) -> T:
    """What `call` returns, made in a thread that dies with the process; raises what it raises.

    head: "HOST:PORT" of the cluster's control, "" while it is not known. Raises HostLost when that has taken no
    connection for `silent_s`, or the call has not returned within `most_s`; the call is then left to itself.
    """
    under_way = asyncio.ensure_future(run_apart(call))
    began_s = heard_s = time.monotonic()
    try:
        while not (await asyncio.wait([under_way], timeout=LOOK_S))[0]:
            now_s = time.monotonic()
            if not head or await _takes_connections(head):
                heard_s = now_s
            if now_s - heard_s >= silent_s:
                raise HostLost(f"Ray: its head at {head} does not answer")
            if now_s - began_s >= most_s:
                raise HostLost(f"Ray: does not answer within {most_s:g} s")
        return await under_way
    finally:
        under_way.cancel()


async def _takes_connections(head: str) -> bool:
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(LOOK_S):
            _, writer = await asyncio.open_connection(*parse_address(head))
        writer.close()
        return True
    return False
