"""Work beside the one that waits for it: long work off the event loop, short questions to it, several tasks at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from isthmus.errors import Unavailable

__all__ = ["LOOP_TIMEOUT_S", "asked_of_loop", "run_apart", "run_together", "to_its_end"]

LOOP_TIMEOUT_S = 5.0
"""Half of Prometheus' own scrape timeout: a node whose event loop hangs says so, rather than nothing."""

P = ParamSpec("P")
T = TypeVar("T")


async def run_apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args)` in a thread of its own, awaited; its exception is raised here.

    Unlike a thread of an executor it dies with the process: a node that drains does not wait for a compiler. Cancelling
    leaves it to run on, its result lost.
    """
    over: Future[T] = Future()
    over.set_running_or_notify_cancel()

    def _work() -> None:
        try:
            over.set_result(function(*args, **kwargs))
        except BaseException as error:
            over.set_exception(error)

    threading.Thread(target=_work, name="apart", daemon=True).start()
    return await asyncio.wrap_future(over)


async def run_together(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """All of them at once. What one raises is raised here, when none of them is under way any more."""
    tasks = [asyncio.ensure_future(one) for one in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def to_its_end(work: Awaitable[T]) -> T:
    """What it returns. Cancelled, this ends with the work: what that has begun can be undone only then."""
    under_way = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise


def asked_of_loop(loop: asyncio.AbstractEventLoop, question: Callable[[], T], timeout_s: float = LOOP_TIMEOUT_S) -> T:
    """What `question` returns on the event loop's thread, which owns what it looks at; called on any other thread.

    Raises what it raises, and Unavailable where the loop does not answer in time or has ended.
    """
    taken: Future[T] = Future()

    def take() -> None:
        try:
            taken.set_result(question())
        except Exception as error:
            taken.set_exception(error)

    try:
        loop.call_soon_threadsafe(take)
    except RuntimeError as error:  # it is closed
        raise Unavailable(f"the node has ended: {error}") from None
    try:
        return taken.result(timeout_s)
    except TimeoutError:
        raise Unavailable(f"the node's event loop did not answer within {timeout_s:g} s") from None
