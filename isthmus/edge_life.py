"""Work that is of no use without the edge beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from scheduler.runtime import Runtime

__all__ = ["while_edge_lives"]

T = TypeVar("T")


async def while_edge_lives(runtime: Runtime, work: Coroutine[Any, Any, T]) -> T:
    """What the work returns. Raises Unavailable, the work cancelled, when the edge of that runtime dies before."""
    watching, doing = asyncio.ensure_future(runtime.watch_edge()), asyncio.ensure_future(work)
    try:
        await asyncio.wait((watching, doing), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            await watching
        return await doing
    finally:
        watching.cancel()
        doing.cancel()
        await asyncio.gather(watching, doing, return_exceptions=True)
